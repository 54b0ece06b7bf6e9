"""dmix: the reproduction pipeline of "Decoupled Mixup for Data-efficient Learning"."""

__version__ = "0.1.0"
