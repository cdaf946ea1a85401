"""From a photo to an avatar."""
