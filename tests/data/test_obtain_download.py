"""Downloads from a server on this machine that breaks off, ignores ranges, lies or refuses."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from dmix.data.obtain import download as module
from dmix.data.obtain.download import PATIENCE, download
from dmix.data.obtain.request import PartialFile, SourceError
from dmix.errors import DmixError
from obtaining import no_wait, served

SIZE = 700_000
CONTENT = np.random.default_rng(0).bytes(SIZE)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(a__tgz=CONTENT) as state:
        yield state


@pytest.fixture
def part(tmp_path):
    return PartialFile(tmp_path / ".a.tgz.part")


def get(server, part, expected=SIZE, name="a.tgz"):
    download(server.url(name), part, name, expected, no_wait)
    return part.path.read_bytes()


def test_an_uninterrupted_one(server, part):
    assert get(server, part) == CONTENT
    assert server.asked == [("a.tgz", None)]
    assert get(server, part) == CONTENT
    assert len(server.asked) == 1  # nothing is asked for when all has arrived


@pytest.mark.parametrize("tag", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("expected", [SIZE, None])
def test_broken_connections_are_continued_and_equal_an_uninterrupted_one(server, part, tag, expected):
    server.tag, server.cuts = tag, [300_000, 1, 250_000]
    assert get(server, part, expected) == CONTENT
    assert server.asked == [
        ("a.tgz", wanted) for wanted in (None, "bytes=300000-", "bytes=300001-", "bytes=550001-")
    ]


def test_a_later_call_continues_what_an_earlier_one_left(server, part):
    server.cuts = [400_000] + [0] * (PATIENCE + 1)
    with pytest.raises(SourceError, match="ended after 400,000 of 700,000 bytes"):
        get(server, part)
    assert part.path.read_bytes() == CONTENT[:400_000]
    assert not server.cuts
    server.asked.clear()
    assert get(server, part) == CONTENT
    assert server.asked == [("a.tgz", "bytes=400000-")]


def test_a_server_without_ranges_starts_again_cleanly(server, part):
    server.ranges, server.cuts = "ignored", [300_000]
    assert get(server, part) == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=300000-"]


def test_a_server_that_sends_another_range_is_asked_for_all(server, part):
    server.ranges, server.cuts = "wrong", [300_000]
    assert get(server, part) == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=300000-", None]


@pytest.mark.parametrize("tag", ["", "weak"])
def test_without_a_tag_nothing_is_continued(server, part, tag):
    server.tag, server.cuts = tag, [300_000]
    assert get(server, part) == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, None]


def test_a_file_that_changed_in_between_is_got_anew(server, part):
    server.cuts = [300_000] + [0] * (PATIENCE + 1)
    with pytest.raises(SourceError):
        get(server, part)
    server.files["a.tgz"] = CONTENT[::-1]
    assert get(server, part) == CONTENT[::-1]


def test_a_file_that_became_shorter_is_got_anew(server, part):
    server.cuts = [300_000] + [0] * (PATIENCE + 1)
    with pytest.raises(SourceError):
        get(server, part)
    # the same tag for another content: a server at fault
    part.tag.write_text(server.headers(CONTENT[:200_000])["ETag"])
    server.files["a.tgz"] = CONTENT[:200_000]
    assert get(server, part, expected=None) == CONTENT[:200_000]


def test_another_size_than_the_published_one_is_refused_before_the_download(server, part):
    with pytest.raises(SourceError, match="it offers 700,000 bytes, not 699,999"):
        get(server, part, expected=699_999)
    assert not part.path.exists()


@pytest.mark.parametrize(
    ("status", "name", "message"),
    [(200, "b.tgz", "HTTP 404 Not Found"), (403, "a.tgz", "HTTP 403"), (503, "a.tgz", "HTTP 503")],
)
def test_a_server_that_refuses_is_left_at_once(server, part, status, name, message):
    server.status = status
    with pytest.raises(SourceError, match=message):
        get(server, part, name=name)
    assert len(server.asked) == 1
    assert not part.path.exists()


def test_a_server_that_is_not_there(part):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match="Connection refused"):
        download(f"http://127.0.0.1:{port}/a", part, "a", None, no_wait)


def test_a_full_disk_is_no_fault_of_the_server(server, part, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, chunk):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "open", lambda *_: Full(), raising=False)
    with pytest.raises(DmixError, match=r"cannot write .*a\.tgz\.part: No space left") as caught:
        get(server, part)
    assert "it continues" in caught.value.way_out


def test_progress_off_a_terminal_is_a_plain_line_now_and_then(server, part, monkeypatch, capsys):
    monkeypatch.setattr("dmix.data.obtain.progress.SECONDS", 0.0)
    get(server, part)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "getting a.tgz: 0.7 of 0.7 (100 %) MB"
    assert "\x1b" not in "".join(lines)
