"""One static page of a tier: its tables, figures and runs, each cell with the curves behind it."""
