"""Networks, data, losses and training (torch)."""
