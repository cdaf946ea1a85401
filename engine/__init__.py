"""The part of mien that computes: no clock, no thread, no socket. Time and state are arguments."""
