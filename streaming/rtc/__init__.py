"""WebRTC: peers, codecs, the receive and send paths."""
