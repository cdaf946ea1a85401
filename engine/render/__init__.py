"""Renderers: motion in, pictures out."""
