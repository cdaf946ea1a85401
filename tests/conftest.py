"""What holds for all tests."""

import pytest
from hypothesis import HealthCheck, settings

from engine.errors import MissingDependency
from engine.runtime import engines

# The same examples on every machine, however loaded it is: what fails here fails everywhere.
settings.register_profile("mien", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")


@pytest.fixture(scope="session")
def library() -> engines.Library:
    """TensorRT-RTX, which builds engines without a GPU."""
    try:
        found = engines.library()
    except MissingDependency as error:
        pytest.skip(str(error))
    if found.name != "tensorrt_rtx":
        pytest.skip(f"{found.name} builds on a GPU alone")
    return found
