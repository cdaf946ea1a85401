"""Judging of what was trained: drivers side by side, on people and sentences that no training saw."""
