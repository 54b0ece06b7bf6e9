"""A web server that can misbehave, small data sets in genuine layouts, and tables that name them."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from dmix.data.sets.cub import cub
from dmix.data_items import HEADER, Item, read_sources

CUB_SIZES = {"classes": 2, "train_size": 4, "test_size": 2}
load_cub = functools.partial(cub, edition="real", **CUB_SIZES)


@dataclass
class Server:
    """What is served, how, and what was asked for.

    cuts: after how many bytes of content each of the next answers breaks off.
    ranges: "honoured", "ignored", or "wrong" (another range than the one asked for is sent).
    tag: header that identifies the content: "ETag", "Last-Modified", "weak", or "" for none.
    asked: path and Range header of each request.
    """

    files: dict[str, bytes]
    address: str = ""
    cuts: list[int] = field(default_factory=list)
    ranges: str = "honoured"
    tag: str = "ETag"
    status: int = 200
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"

    def headers(self, content: bytes) -> dict[str, str]:
        digest = hashlib.md5(content).hexdigest()
        kinds = {"ETag": {"ETag": f'"{digest}"'}, "weak": {"ETag": f'W/"{digest}"'}, "": {}}
        return kinds.get(self.tag, {"Last-Modified": f"date of {digest}"})


@contextmanager
def served(**files: bytes) -> Iterator[Server]:
    """Serve files by name on this machine ("__" in a name is a dot)."""
    state = Server({name.replace("__", "."): content for name, content in files.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name, wanted = self.path.lstrip("/"), self.headers["Range"]
            state.asked.append((name, wanted))
            content = state.files.get(name)
            if content is None or state.status != 200:
                self.send_error(404 if content is None else state.status)
                return
            tags = state.headers(content)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if state.ranges == "ignored" or self.headers["If-Range"] not in tags.values():
                start = 0
            if start and start >= len(content):
                self.send_error(416)
                return
            if start and state.ranges == "wrong":
                start -= 1
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            for key, value in tags.items():
                self.send_header(key, value)
            self.end_headers()
            end = start + state.cuts.pop(0) if state.cuts else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # clients that hang up are part of the tests
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Place:
    """A folder of editions to get things into, and what was told."""

    data: Path
    told: list[str] = field(default_factory=list)

    def left(self) -> list[str]:
        """Return what lies in data/real, hidden files too."""
        real = self.data / "real"
        return sorted(path.name for path in real.iterdir()) if real.exists() else []


def write_cub(folder: Path) -> Path:
    """Write the layout of CUB-200-2011 with two classes of three images."""
    names = ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
    paths = [f"{name}/{name[4:]}_{number:04d}.jpg" for name in names for number in range(3)]
    for seed, path in enumerate(paths):
        (folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (24 + seed, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / path, "JPEG")
    lists = {
        "classes.txt": names,
        "images.txt": paths,
        "image_class_labels.txt": ["1", "1", "1", "2", "2", "2"],
        "train_test_split.txt": ["1", "1", "0", "1", "1", "0"],
    }
    for name, values in lists.items():
        (folder / name).write_text("".join(f"{n} {value}\n" for n, value in enumerate(values, start=1)))
    return folder


def tarred(folder: Path, mode: str = "w:gz", inside: str | None = None) -> bytes:
    """Return an archive of a folder, under its own name or `inside` another one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        archive.add(folder, arcname=inside or folder.name)
    return stream.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def table(path: Path, *rows: dict[str, object]) -> Path:
    """Write a table of sources; what a row leaves out is what a single archive of CUB would have."""
    usual = {
        "item": "cub", "kind": "data", "path": "CUB_200_2011", "form": "official",
        "file": "CUB_200_2011.tgz", "place": "folder", "algorithm": "md5",
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, HEADER, restval="")
        writer.writeheader()
        writer.writerows(usual | row for row in rows)
    return path


def item(tmp_path: Path, *rows: dict[str, object]) -> Item:
    """Return the only item of such a table."""
    (found,) = read_sources(table(tmp_path / "datasets.csv", *rows)).values()
    return found


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def no_wait(seconds: float) -> None:
    assert seconds <= 64
