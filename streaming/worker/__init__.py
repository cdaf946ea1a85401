"""The worker processes that run the engine."""
