"""What holds for all tests."""

import pytest
from hypothesis import HealthCheck, settings

from engine.errors import MissingDependency
from engine.runtime import engines

# The same examples on every machine, however loaded it is: what fails here fails everywhere.
settings.register_profile("mien", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`."""
    parser.addoption("--long", action="store_true", help="run what takes many minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes many minutes, unless it was asked for."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes many minutes: ./mien test --long"))


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
