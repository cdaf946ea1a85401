"""PD-FGC's training (Wang et al. 2023): losses, stages, data, the loop."""
