"""How a relationship of source and target classes is learned before a run."""
