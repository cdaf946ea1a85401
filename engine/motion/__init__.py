"""Motion sources (voice, idle, script) and the compositor that merges them."""
