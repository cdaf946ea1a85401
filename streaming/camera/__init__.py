"""Cameras: a process that decodes their pictures and reads faces in them, and how the server speaks with it.

Pictures arrive coded and go to that process as they are; what comes back are
controls of a face and a few points to draw. No picture leaves the process, and
none is stored.
"""
