"""WebRTC: a browser's voice in, the avatar's picture and voice out."""
