"""Voices that do not come over WebRTC: this machine's microphone, files and streams, the built-in samples."""
