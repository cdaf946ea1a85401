"""The networks of "Progressive Disentangled Representation Learning for Fine-Grained Controllable Talking Head Synthesis".

At the widths `PDFGC_224` their state dicts have the keys and shapes of the
published checkpoints and compute the same numbers (tests/parity). One module
per network; `config.Widths` says how large each is.
"""
