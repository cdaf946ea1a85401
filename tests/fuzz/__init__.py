"""Everything that takes a stranger's bytes, fed with damaged ones: `python -m tests.fuzz`."""
