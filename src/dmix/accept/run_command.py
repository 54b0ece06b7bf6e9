"""Run one dmix command with the dmix of the current source tree. A script."""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    raise SystemExit(importlib.import_module("dmix.cli").main(sys.argv[1:]))
