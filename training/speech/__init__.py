"""Speech whose phones are known to the millisecond, and what a mouth does for each: made by espeak-ng, Flite and alignment."""
