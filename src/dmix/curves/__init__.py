"""Learning curves of runs, finished or in progress, on a terminal or as a picture."""
