"""The file of equivalences: lines chain, and a damaged file is refused."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.equivalent import HEADER, Line, add_equivalences, read_equivalences


def line(new: str, old: str, because: str = "moved, renamed") -> Line:
    return Line("policy/cutmix", new, old, "a b", because, "0" * 40)


def test_digests_count_as_the_oldest_of_their_equals(tmp_path):
    path = tmp_path / "equivalent.csv"
    add_equivalences(path, [line("b", "a", 'a "quoted", reason')])
    add_equivalences(path, [line("c", "b"), line("y", "x")])
    known = read_equivalences(path)
    assert [known.oldest(digest) for digest in "abcxyz"] == ["a", "a", "a", "x", "x", "z"]
    assert [found.new for found in known.lines("c")] == ["c", "b"]
    assert known.lines("c")[-1].because == 'a "quoted", reason'


def test_without_a_file_every_digest_is_its_own(tmp_path):
    assert read_equivalences(tmp_path / "none.csv").oldest("a") == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("new,old\n", "the first line must be part,new,old,replayed,because,commit"),
        (",".join(HEADER) + "\npolicy/cutmix,b\n", ":2: 2 fields, expected 6"),
        (",".join(HEADER) + "\npolicy/cutmix,b,,x,y,z\n", ":2 is no equivalence"),
        (",".join(HEADER) + "\np,b,a,r,w,c\np,b,x,r,w,c\n", ":3 gives b a second equal"),
        (",".join(HEADER) + "\np,b,a,r,w,c\np,a,b,r,w,c\n", "lead in a circle"),
        (",".join(HEADER) + "\np,b,b,r,w,c\n", "lead in a circle"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    path = tmp_path / "equivalent.csv"
    path.write_text(text)
    with pytest.raises(DmixError, match=message) as caught:
        read_equivalences(path)
    assert f"git checkout {path}" in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "equivalent.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DmixError, match=":1: byte 0xff is not UTF-8"):
        read_equivalences(path)
