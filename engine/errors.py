"""The errors of mien that come from the world rather than from a caller's bug.

    MienError
    ├── PortraitError        a photo or a portrait file cannot be used
    │   ├── UnreadablePhoto      not a picture, truncated, or too large to decode
    │   ├── NoFace               no face was found
    │   ├── SeveralFaces         more than one face was found
    │   └── UnusableFace         a face was found that cannot be animated
    ├── AudioError           a sound file or device cannot be used
    ├── ModelError           a network's file is missing, damaged or of another version
    ├── DeviceError          a GPU, its driver or its runtime cannot be used
    │   └── OutOfDeviceMemory    there is too little memory left on it
    └── MissingDependency    something must be installed first

Every message is one line that names the cause and the cure, and is fit to be
shown to a user as it is. A caller's bug raises `ValueError`; a broken
invariant of our own fails an `assert`.
"""


class MienError(Exception):
    """Base of all errors that a user of mien may meet."""


class PortraitError(MienError):
    """A photo or a portrait file cannot be used."""


class UnreadablePhoto(PortraitError):
    """The bytes are not a picture that can be decoded within the limits."""


class NoFace(PortraitError):
    """No face was found in the photo."""


class SeveralFaces(PortraitError):
    """More than one face was found in the photo."""


class UnusableFace(PortraitError):
    """A face was found, but it cannot be animated (too small, turned away, covered)."""


class AudioError(MienError):
    """A sound file, stream or device cannot be used."""


class ModelError(MienError):
    """A network's file is missing, damaged or of another version."""


class DeviceError(MienError):
    """A GPU, its driver or its runtime cannot be used."""


class OutOfDeviceMemory(DeviceError):
    """There is too little memory left on a GPU."""


class MissingDependency(MienError):
    """Something must be installed first; the message carries the command."""
