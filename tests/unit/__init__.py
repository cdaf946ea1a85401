"""Fast tests: no network, no sleep, no torch."""
