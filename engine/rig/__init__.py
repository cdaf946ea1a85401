"""The rig: an enrolled identity as arrays, and how controls move it."""
