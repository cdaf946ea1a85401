"""Sound from the sound card, from files and from streams."""
