"""Faces drawn under known controls: one factor at a time, the same value on many people."""
