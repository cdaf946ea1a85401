"""Two implementations, one result."""
