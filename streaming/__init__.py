"""The part of mien that waits: capture, WebRTC, workers, the web page, the command line."""
