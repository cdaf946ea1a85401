"""A GPU's own process: it holds the networks once and runs what the workers of a server ask for, in batches of all of them.

Workers connect to it (`link`), put inputs into memory that they share with it, and go on with other sessions until the
answer is there. It is watched and replaced by the server (`device`).
"""
