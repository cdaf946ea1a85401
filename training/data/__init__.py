"""Talking video and speech, made into aligned tracks."""
