"""Drivers without training, kept to compare with: signal processing, loudness, a mouth that stays shut."""
