"""Images in a tar archive, read without unpacking it."""

from __future__ import annotations

import functools
import os
import weakref
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dmix.data.sets.tar_index import WAY_OUT
from dmix.errors import DmixError


@dataclass(frozen=True, eq=False)
class TarFiles:
    """Members of one uncompressed archive.

    The archive is opened at the first read and closed when this object is deleted. Reads are positional, so
    forked processes can share the open file; a pickle does not contain it.

    Parameters
    ----------
    names: N paths relative to the data set, for messages and the fingerprint.
    offsets, lengths: int64 (N,), start and length of each member in the archive, in bytes.
    """

    archive: Path
    names: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the number of bytes of each member, (N,)."""
        return self.lengths

    def read(self, index: int) -> bytes:
        """Return the bytes of one member.

        Raises
        ------
        DmixError: the archive cannot be read, or has become shorter.
        """
        length = int(self.lengths[index])
        try:
            data = os.pread(self._descriptor, length, int(self.offsets[index]))
        except OSError as error:
            raise DmixError(f"cannot read {self.archive}: {error.strerror or error}", WAY_OUT) from error
        if len(data) != length:
            raise DmixError(f"the archive {self.archive} ends inside {self.names[index]}", WAY_OUT)
        return data

    @functools.cached_property
    def _descriptor(self) -> int:
        descriptor = os.open(self.archive, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
