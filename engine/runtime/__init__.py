"""Graph runtimes."""
