"""The frozen form of a run's identity, of which digests are taken, whatever sections are called today."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

IDENTITY_NAMES: Mapping[str, str] = MappingProxyType({"addon": "pairing"})
"""Section of the settings -> its name in an identity, where that is from before it was renamed."""
