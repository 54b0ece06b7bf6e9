"""Kinds of evaluations, one file each: what a finished run's weights do, as `dmix evaluate` measures it."""
