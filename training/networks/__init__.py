"""The only network definitions of the project (torch)."""
