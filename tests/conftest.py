"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# The same examples on every machine, however loaded it is: what fails here fails everywhere.
settings.register_profile("mien", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")
