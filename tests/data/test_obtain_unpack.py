"""Unpacking: what comes out of good archives, and what never comes out of bad ones."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dmix.data.obtain.unpack import Limit, unpack, usual_limit
from dmix.errors import DmixError
from obtaining import files_below

FILES = {"a/b.txt": b"text", "a/c/d.jpg": np.random.default_rng(0).bytes(5000), "a/empty": b""}


def tar(*members: tuple[tarfile.TarInfo | str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for info, content in members:
            member = tarfile.TarInfo(info) if isinstance(info, str) else info
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return stream.getvalue()


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


GOOD = {
    "tgz": tar(*FILES.items()),
    "tar": tar(*FILES.items(), mode="w:"),
    "folders": tar((special("a", tarfile.DIRTYPE), b""), *FILES.items()),
    "dots": tar(*((f"./{name}", content) for name, content in FILES.items())),
    "zip": zipped(*FILES.items()),
    "zip with folders": zipped(("a/", b""), ("a/c/", b""), *FILES.items()),
}


def written(tmp_path: Path, content: bytes) -> Path:
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("form", GOOD)
def test_files_come_out_as_they_went_in(tmp_path, form):
    archive = written(tmp_path, GOOD[form])
    unpack(archive, tmp_path / "out", usual_limit(archive))
    assert files_below(tmp_path / "out") == FILES


def test_what_tarfile_itself_unpacks(tmp_path):
    """Names and contents are those that Python's own extraction gives, of an archive that is safe."""
    archive = written(tmp_path, GOOD["folders"])
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since Python 3.11.4
    with tarfile.open(archive) as reference:
        reference.extractall(tmp_path / "reference", **safely)
    unpack(archive, tmp_path / "out", usual_limit(archive))
    assert files_below(tmp_path / "out") == files_below(tmp_path / "reference")


LAST = ("a/z.txt", b"last")
BAD = {
    "dots": (tar(("a/../../x", b"1")), "a/../../x", "its path leads out of the archive"),
    "dots first": (tar(("../x", b"1")), "../x", "its path leads out of the archive"),
    "absolute": (tar(("/tmp/x", b"1")), "/tmp/x", "its path leads out of the archive"),
    "folder outside": (tar((special("../x", tarfile.DIRTYPE), b"")), "../x", "its path leads out"),
    "symbolic link": (tar((special("a/l", tarfile.SYMTYPE, "/etc"), b""), ("a/l/x", b"1")), "a/l",
                      "it is a symbolic link, not a file"),
    "inner symbolic link": (tar((special("a/l", tarfile.SYMTYPE, "b.txt"), b"")), "a/l", "it is a symbolic"),
    "hard link": (tar(("a/b.txt", b"1"), (special("a/l", tarfile.LNKTYPE, "a/b.txt"), b"")), "a/l",
                  "it is a hard link, not a file"),
    "device": (tar((special("a/null", tarfile.CHRTYPE), b"")), "a/null", "it is a device, not a file"),
    "disk": (tar((special("a/disk", tarfile.BLKTYPE), b"")), "a/disk", "it is a device, not a file"),
    "pipe": (tar((special("a/p", tarfile.FIFOTYPE), b"")), "a/p", "it is a pipe, not a file"),
    "file twice": (tar(("a/b", b"1"), ("a/b", b"2")), "a/b", "it comes twice"),
    "file and folder": (tar(("a/b", b"1"), ("a/b/c", b"2")), "a/b/c", "it comes twice, or as a file and as"),
    "zip slip": (zipped(("../../x", b"1")), "../../x", "its path leads out of the archive"),
    "zip absolute": (zipped(("/tmp/x", b"1")), "/tmp/x", "its path leads out of the archive"),
    "zip link": (zipped((zip_link("a/l"), b"/etc/passwd")), "a/l", "it is a symbolic link, not a file"),
    "zip twice": (zipped(("a/b", b"1"), ("a//b", b"2")), "a//b", "it comes twice"),
}  # fmt: skip


@pytest.mark.parametrize("form", BAD)
def test_members_that_must_not_be_unpacked(tmp_path, form):
    content, member, message = BAD[form]
    archive = written(tmp_path, content)
    out = tmp_path / "deep" / "out"
    before = set(tmp_path.rglob("*"))
    expected = f"{re.escape(str(archive))} is not unpacked: its member '{re.escape(member)}': {message}"
    with pytest.raises(DmixError, match=expected):
        unpack(archive, out, usual_limit(archive))
    new = set(tmp_path.rglob("*")) - before - {out.parent, out}
    assert all(path.is_relative_to(out) and not path.is_symlink() for path in new)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_bomb_ends_at_the_bound(tmp_path, pack):
    archive = written(tmp_path, pack(("a/small", b"1"), ("a/bomb", bytes(2_000_000))))
    assert archive.stat().st_size < 10_000
    with pytest.raises(DmixError, match=r"member 'a/bomb': with it the content is larger than 1,000,000 b"):
        unpack(archive, tmp_path / "out", Limit(1_000_000))
    assert files_below(tmp_path / "out") == {"a/small": b"1"}


def test_a_bomb_of_members_ends_at_the_bound(tmp_path):
    folders = [(special(f"a{n}", tarfile.DIRTYPE), b"") for n in range(4)]
    with pytest.raises(DmixError, match="member 'a3': it is one more than 3 members"):
        unpack(written(tmp_path, tar(*folders)), tmp_path / "out", Limit(10, members=3))


def test_the_usual_bound_is_ten_times_the_archive_and_a_bit(tmp_path):
    assert usual_limit(written(tmp_path, bytes(1000))) == Limit(10_000 + 64 * 2**20, 500_000)


def cut(content: bytes, part: float) -> bytes:
    return content[: int(len(content) * part)]


PLAIN = tar(*FILES.items(), LAST, mode="w:")
END = PLAIN.index(b"last") + 512  # of the last member
DAMAGED = {
    "tgz cut": cut(GOOD["tgz"], 0.9),
    "tgz cut in its last bytes": GOOD["tgz"][:-4],
    "tgz with a wrong checksum": GOOD["tgz"][:-8] + bytes(8),
    "tar cut in a member": PLAIN[: PLAIN.index(FILES["a/c/d.jpg"]) + 100],
    "tar cut behind a member": PLAIN[: PLAIN.index(b"text") + 512],
    "tar without its end": PLAIN[:END],
    "tar with rubbish in the place of a header": PLAIN[: PLAIN.index(b"text") + 512] + b"x" * 2000,
    "gzipped tar without its end": gzip.compress(PLAIN[:END]),
    "zip cut": cut(GOOD["zip"], 0.9),
    "zip with a wrong byte": GOOD["zip"].replace(FILES["a/c/d.jpg"][9:20], bytes(11)),
    "a web page": b"<!DOCTYPE html><html>404</html>" * 100,
    "nothing": b"",
}


@pytest.mark.parametrize("form", DAMAGED)
def test_archives_cut_short_or_damaged(tmp_path, form):
    archive = written(tmp_path, DAMAGED[form])
    with pytest.raises(DmixError, match=f"{re.escape(str(archive))} is cut short or damaged"):
        unpack(archive, tmp_path / "out", usual_limit(archive))


def test_an_encrypted_zip(tmp_path):
    content = bytearray(zipped(("a", b"1")))
    for place in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[place] |= 1
    with pytest.raises(DmixError, match="its member 'a': it is encrypted, not a file"):
        unpack(written(tmp_path, bytes(content)), tmp_path / "out", Limit(10))


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_archive(tmp_path):
    archive = written(tmp_path, GOOD["tgz"])
    (tmp_path / "file").touch()
    with pytest.raises(DmixError, match=r"cannot write .*file"):
        unpack(archive, tmp_path / "file" / "out", usual_limit(archive))
