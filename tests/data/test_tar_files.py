"""Archives made with tarfile, and what is found in them without unpacking."""

import gc
import io
import os
import pickle
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dmix.data.sets import tar_index
from dmix.data.sets.tar_files import TarFiles
from dmix.errors import DmixError

CONTENTS = {
    "a.JPEG": b"first",
    "empty.JPEG": b"",
    "block.JPEG": random.Random(0).randbytes(512),
    "dir/long.JPEG": random.Random(1).randbytes(1300),
}


def packed(contents: dict[str, bytes], **options) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def nested(**options) -> bytes:
    inner = {f"n0{label}.tar": packed({f"n0{label}_{i}.JPEG": bytes([label, i]) * 300 for i in range(3)})
             for label in range(3)}  # fmt: skip
    return packed(inner, **options)


NESTED = {f"n0{label}/n0{label}_{i}.JPEG": bytes([label, i]) * 300 for label in range(3) for i in range(3)}


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "some.tar"
    path.write_bytes(content)
    return path


def files(archive: Path) -> TarFiles:
    index = tar_index.load(archive)
    return TarFiles(archive, index.names, index.offsets, index.sizes)


def everything(store: TarFiles) -> dict[str, bytes]:
    return {name: store.read(index) for index, name in enumerate(store.names)}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_member_is_found_and_read(tmp_path, form):
    contents = CONTENTS | {"x/" * 60 + "deep.JPEG": b"deep", "grün.JPEG": b"green"}
    store = files(write(tmp_path, packed(contents, format=form)))
    assert list(everything(store).items()) == list(contents.items())
    assert store.sizes().tolist() == [len(content) for content in contents.values()]
    assert store.sizes().dtype == np.int64


def test_members_of_inner_archives_are_found_in_the_outer_one(tmp_path):
    assert everything(files(write(tmp_path, nested()))) == NESTED


def test_folders_are_skipped_and_a_dot_in_front_is_dropped(tmp_path):
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(folder)
        member = tarfile.TarInfo("./a.JPEG")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"ab"))
    assert everything(files(write(tmp_path, stream.getvalue()))) == {"a.JPEG": b"ab"}


# The kept index


def test_the_index_is_made_once_and_again_when_the_archive_changes(tmp_path, monkeypatch):
    scans = []
    scan = tar_index.scan
    monkeypatch.setattr(tar_index, "scan", lambda archive: scans.append(archive) or scan(archive))
    archive = write(tmp_path, packed({"a.JPEG": b"one", "b.JPEG": b"two"}))
    first, again = tar_index.load(archive), tar_index.load(archive)
    assert len(scans) == 1
    assert (first.names, first.offsets.tolist(), first.sizes.tolist()) == (
        (again.names, again.offsets.tolist(), again.sizes.tolist())
    )
    assert sorted(os.listdir(tmp_path)) == ["some.tar", "some.tar.index.npz"]

    state = archive.stat()
    os.utime(archive, ns=(state.st_atime_ns, state.st_mtime_ns + 1))  # another time alone
    tar_index.load(archive)
    assert len(scans) == 2

    state = archive.stat()
    write(tmp_path, packed({"c.JPEG": bytes(20000)}))  # another size alone
    os.utime(archive, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert tar_index.load(archive).names == ("c.JPEG",)
    assert len(scans) == 3

    monkeypatch.setattr(tar_index, "FORMAT", tar_index.FORMAT + 1)
    tar_index.load(archive)
    tar_index.load(archive)
    assert len(scans) == 4


@pytest.mark.parametrize("kept", [b"", b"noise", b"PK\x03\x04", "cut", "flipped", "other"])
def test_a_damaged_index_is_made_again(tmp_path, kept):
    archive = write(tmp_path, packed(CONTENTS))
    index = tmp_path / "some.tar.index.npz"
    tar_index.load(archive)
    whole = index.read_bytes()
    if kept == "other":
        np.savez(index, stamp=np.arange(3))
    elif kept == "cut":
        index.write_bytes(whole[:-30])
    elif kept == "flipped":
        at = whole.index(b"block.JPEG")
        index.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    else:
        index.write_bytes(kept)
    assert everything(files(archive)) == CONTENTS
    assert everything(files(archive)) == CONTENTS


def test_an_index_that_lacks_an_array_is_made_again(tmp_path):
    archive = write(tmp_path, packed(CONTENTS))
    tar_index.load(archive)
    with np.load(tmp_path / "some.tar.index.npz") as arrays:
        kept = dict(arrays)
    del kept["offsets"]
    np.savez(tmp_path / "some.tar.index.npz", **kept)
    assert everything(files(archive)) == CONTENTS


# Damage


@pytest.mark.parametrize("content", [packed(CONTENTS), nested()], ids=["flat", "nested"])
def test_an_archive_cut_anywhere_is_refused(tmp_path, content):
    """Whole is: every member, and the first block of zeros behind the last."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + -(-last.size // 512) * 512 + 512
    path = write(tmp_path, content)
    whole = tar_index.scan(path).names
    for cut in [*range(0, end, 256), *random.Random(0).sample(range(end), 40), end - 1]:
        path.write_bytes(content[:cut])
        with pytest.raises(DmixError, match=r"some\.tar is cut short or damaged") as caught:
            tar_index.scan(path)
        assert caught.value.way_out
    path.write_bytes(content[:end])
    assert tar_index.scan(path).names == whole


def test_an_inner_archive_cut_by_its_maker_is_refused(tmp_path):
    inner = packed({"a.JPEG": bytes(600), "b.JPEG": bytes(600)})
    for cut in (0, 1024, 1536, 3072):  # nothing; inside a; between a and b; behind b, without an end
        for outer in ({"n01.tar": inner[:cut], "n02.tar": inner}, {"n02.tar": inner, "n01.tar": inner[:cut]}):
            with pytest.raises(DmixError, match="is cut short or damaged"):
                tar_index.scan(write(tmp_path, packed(outer)))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    content = bytearray(packed(CONTENTS))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        headers = [member.offset for member in archive]
    for offset in headers:
        damaged = bytearray(content)
        damaged[offset + 3] ^= 1
        with pytest.raises(DmixError, match="is cut short or damaged"):
            tar_index.scan(write(tmp_path, bytes(damaged)))


def test_what_is_no_archive_or_empty_is_refused(tmp_path):
    with_empty = packed({"n01.tar": packed(CONTENTS), "n02.tar": packed({})})
    for content in (b"", b"<html>404 not found</html>" * 100, bytes(10240), with_empty):
        with pytest.raises(DmixError, match="is cut short or damaged"):
            tar_index.load(write(tmp_path, content))
    assert os.listdir(tmp_path) == ["some.tar"]


def test_a_missing_archive_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        tar_index.load(tmp_path / "none.tar")


@pytest.mark.parametrize("name", ["../a.JPEG", "x/../../a.JPEG", "/etc/a.JPEG"])
def test_members_outside_are_refused(tmp_path, name):
    for content in (packed({"b.JPEG": b"b", name: b"a"}), packed({"n01.tar": packed({name: b"a"})})):
        with pytest.raises(DmixError, match=f"member {name} lies outside"):
            tar_index.scan(write(tmp_path, content))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("a.JPEG")
    member.type, member.linkname = kind, "b.JPEG"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(member)
    with pytest.raises(DmixError, match=r"member a\.JPEG is no file but a link or a device"):
        tar_index.scan(write(tmp_path, stream.getvalue()))


# The open archive


def descriptors(path: Path) -> int:
    links = (os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return sum(link == str(path) for link in links)


def test_the_archive_is_opened_once_and_closed_with_its_last_user(tmp_path):
    archive = write(tmp_path, nested())
    store = files(archive)
    assert descriptors(archive) == 0
    everything(store)
    everything(store)
    assert descriptors(archive) == 1
    del store
    gc.collect()
    assert descriptors(archive) == 0


def test_a_pickle_holds_no_open_file_and_works_in_another_process(tmp_path):
    archive = write(tmp_path, nested())
    store = files(archive)
    before = pickle.dumps(store)
    store.read(0)
    assert pickle.dumps(store) == before
    code = (
        "import pickle, sys\n"
        "store = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(store.read(4) + store.sizes().tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=before, capture_output=True, check=True)
    assert done.stdout == store.read(4) + store.sizes().tobytes()


def test_reading_from_an_archive_that_shrank_or_went_away(tmp_path):
    archive = write(tmp_path, nested())
    store = files(archive)
    os.truncate(archive, int(store.offsets[-1]) + 1)
    with pytest.raises(DmixError, match=r"some\.tar ends inside n02/n02_2\.JPEG"):
        store.read(8)
    archive.unlink()
    with pytest.raises(DmixError, match=r"cannot read .*some\.tar: No such file"):
        TarFiles(archive, store.names, store.offsets, store.lengths).read(0)
