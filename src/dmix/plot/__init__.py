"""Framework of figures: style, what a figure is made of, and how it is saved."""
