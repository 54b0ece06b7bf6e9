"""The reproduction pipeline of the paper "Decoupled Mixup for Data-efficient Learning"."""

from pathlib import Path

from dmix.imported import keep_sources

__version__ = "0.1.0"

PACKAGE = Path(__file__).resolve().parent
"""Folder of the package's source, which digests are taken of."""

keep_sources()
