"""The commands of `dmix`, a module each. Slow imports are inside the function that needs them."""
