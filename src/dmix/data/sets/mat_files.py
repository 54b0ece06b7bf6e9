"""Reads MATLAB files in a process of their own, because scipy's reader can crash on damaged ones.

Also the script that this process runs: a file on standard input, its variables pickled on standard output.
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 300


def read_mat(content: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Return those of the variables `names` that a file has, as numpy arrays without axes of length 1.

    Raises
    ------
    ValueError: it is no such file, or it is damaged.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dmix.data.sets.mat_files", *names],
            input=content,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"it was not read within {SECONDS} seconds") from error
    if done.returncode < 0:
        raise ValueError("scipy's reader crashed")
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    found: dict[str, Any] = pickle.loads(done.stdout)  # noqa: S301 - written by the lines below
    return found


def main() -> None:
    """Read standard input; an exception ends the process with its message as the last line."""
    from scipy.io import loadmat  # type: ignore[import-untyped]

    content = io.BytesIO(sys.stdin.buffer.read())
    found = loadmat(content, squeeze_me=True, variable_names=tuple(sys.argv[1:]))
    sys.stdout.buffer.write(pickle.dumps({name: found[name] for name in sys.argv[1:] if name in found}))


if __name__ == "__main__":
    main()
