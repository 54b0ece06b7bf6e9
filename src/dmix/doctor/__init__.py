"""`dmix doctor`: what is on this machine, what is missing, and the one command that gets it."""
