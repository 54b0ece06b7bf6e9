"""Whatever a file holds, dmix gives one message, or means what it meant before, or another run is asked for.

560 examples, the same in each run of the tests (`derandomize`).
"""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmix.data.sets import cifar, marker
from dmix.data.sets.dataset import Split
from dmix.data_items import read_sources
from dmix.engine.parts import load_part
from dmix.errors import DmixError
from dmix.grid.damage import damage
from dmix.grid.equivalent import HEADER, read_equivalences
from dmix.grid.expand import load_grid
from dmix.grid.parts import read_part
from dmix.grid.table import Reported
from dmix.job import checkpoint
from dmix.record import Record, read_record
from dmix.report.deviations import read_deviations
from dmix.report.reported import read_reported
from project import ROOT, small_params

CPU = torch.device("cpu")
FULL = small_params()


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def refused(read, *given):
    """What `read` returns, or None if it refuses by a message for people; any other error is a failure."""
    try:
        return read(*given)
    except DmixError as error:
        message = error.message
    assert message.strip()
    assert message.isprintable(), message
    return None


PIECES = st.sampled_from(
    [
        *(
            b"",
            b"\x00",
            b"\xff",
            b"\xc3",
            b"\xef\xbb\xbf",
            b"\n",
            b"\r",
            b"\t",
            b" ",
            b'"',
            b"'",
            b",",
            b":",
            b": ",
        ),
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b"&a ",
            b"*a",
            b"!!int ",
            b"!!python/name:os ",
            b"- ",
            b"#",
            b"---\n",
            b"%",
            b"|",
        ),
        *(
            b"0",
            b"1",
            b"9",
            b"-",
            b".",
            b"e",
            b"1e999",
            b"nan",
            b"NaN",
            b".inf",
            b"true",
            b"null",
            b"1:30",
            b"010",
        ),
        *(
            b"[" * 5000,
            b'{"a":' * 5000,
            b"9" * 5000,
            "\u2028".encode(),
            "\x85".encode(),
            b"\\ud800",
            b"\x1b[2J",
        ),
    ]
)


@st.composite
def edits(draw, content: bytes) -> bytes:
    """`content` with one to three places cut, replaced, doubled or flipped."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.sampled_from([0, 1, 1, 2, 8, 200]))
        kind = draw(st.sampled_from(["replace", "replace", "flip", "cut", "double"]))
        if kind == "replace":
            content = content[:at] + draw(PIECES) + content[at + length :]
        elif kind == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        else:
            content = content[: at + length] + content[at:]
    return content


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def identities(grid):
    return {name: spec.identity() for name, spec in grid.runs.items()}


def loaded(place: Path, text: bytes):
    path = place / "params.yaml"
    path.write_bytes(text)
    return refused(load_grid, "full", path)


ORIGINAL = yaml.safe_load(FULL)


@examples(100)
@given(edits(FULL.encode()))
def test_params_with_other_bytes(place, text):
    grid = loaded(place, text)
    if grid is None:
        return
    # What another reader of YAML takes for the same data is the same runs.
    if yaml.safe_load(text.decode("utf-8-sig")) == ORIGINAL:
        assert identities(grid) == identities(loaded(place, FULL.encode()))
    for name, spec in grid.runs.items():
        assert name == spec.name
        assert spec.digest()


# Settings that every run of these grids is made of, as key paths; no text that is only shown.
LEAVES = [
    ("seeds", 0),
    *(
        ("recipes", "cifar", key)
        for key in ("epochs", "batch_size", "lr", "weight_decay", "score", "eval_every")
    ),
    *(("recipes", "cifar", key, index) for key in ("mean", "std") for index in range(3)),
    ("recipes", "cifar", "optimizer", "momentum"),
    ("recipes", "cifar", "augment", "padding"),
    ("recipes", "cifar", "augment", "flip"),
    *(("datasets", "cifar100", key) for key in ("classes", "train_size", "test_size", "image_size")),
    *(("backbones", "resnet18", key) for key in ("block", "width")),
    *(("backbones", "resnet18", "layers", index) for index in range(4)),
    ("policies", "cutmix", "alpha"),
    ("policies", "mixup", "alpha"),
    ("policies", "cutmix", "derangement"),
    ("objectives", "dm_ce", "by_kind", "static", "objective.eta"),
    ("grids", "cifar10", "policy", 0),
]
VALUES = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["1:30", "1e-3", "0x10", "010", "1_0", ".inf", "inf", "nan", "true", "2020-01-01", "..", "~"]
    ),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@examples(100)
@given(st.sampled_from(LEAVES), VALUES)
def test_a_setting_with_another_value(place, leaf, value):
    data = yaml.safe_load(FULL)
    inner = data
    for key in leaf[:-1]:
        inner = inner[key]
    before, inner[leaf[-1]] = inner[leaf[-1]], value
    grid = loaded(place, yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode())
    if grid is None:
        return
    assert type(value) in (
        (float, int) if type(before) in (float, int) else (type(before), str, list, dict)
    ), value
    usual = identities(load_grid("full", ROOT / "tests/small_params.yaml"))
    assert (identities(grid) == usual) == (value == before)


RECORD = {
    **dict.fromkeys(("name", "spec_digest", "code_digest", "data_fingerprint", "precision", "primary"), "x"),
    **dict.fromkeys(("started", "finished"), "2000-01-01T00:00:00"),
    "code_modules": {"dmix.a": "0"},
    "spec": {"recipe": {"lr": 0.1}},
    "seed": 1,
    "data_edition": "embedded",
    "git_commit": None,
    "git_dirty": None,
    "versions": {"torch": "2"},
    "seconds": 60.5,
    "gpu_hours": 0.0,
    "images_per_second": 10.0,
    "resumes": 0,
    "parameters": 7,
    "evaluations": [1, 2],
    "score": 50.0,
    "hardware": {"device": "cpu", "threads": 1, "host_cpu": "any", "peak_memory_mb": 1.0},
    "scores": {"x": {"median_last10": 50.0, "best": 51.0, "last": 50.0, "last10": [50.0]}},
    "weights_sha256": "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f",
    "history_sha256": "6a3cf5192354f71615ac51034b3e97c20eda99643fcaf5bbe6d41ad59bd12167",
}


@pytest.fixture(scope="module")
def finished(place):
    folder = place / "run"
    folder.mkdir()
    Record.model_validate(RECORD).write(folder / "record.json")
    (folder / "weights.safetensors").write_bytes(b"a\n")
    (folder / "history.csv").write_bytes(b"a\n")
    return folder, (folder / "record.json").read_bytes(), read_record(folder / "record.json")


@examples(100)
@given(st.data())
def test_a_record_with_other_bytes(finished, data):
    folder, content, record = finished
    (folder / "record.json").write_bytes(data.draw(edits(content)))
    found = refused(read_record, folder / "record.json")
    assert found is None or found == record
    problem = damage(folder, folder / "weights.safetensors")
    assert problem.isprintable()
    assert (found is None) <= bool(problem)


@pytest.fixture(scope="module")
def saved(place):
    path = place / "checkpoint.pt"
    state = {
        "run": "x",
        "trainer": {"weight": torch.arange(40.0), "step": 3, "names": ["a", "b"]},
        "seconds": 1.5,
    }
    checkpoint.save(path, state)
    return path, path.read_bytes(), state


@examples(60)
@given(st.data())
def test_a_checkpoint_with_other_bytes(saved, data):
    path, content, state = saved
    path.write_bytes(data.draw(edits(content)))
    found = refused(checkpoint.load, path, CPU)
    if found is not None:
        assert repr(found) == repr(state)


EQUIVALENT = f"{','.join(HEADER)}\npolicy/cutmix,b,a,r,w,c\nengine,d,c,r,w,c\n"


def numbers(path: Path) -> list[float]:
    """Every number that any table can read from reported.csv."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = []
    for table in {row["table"] for row in rows}:
        here = tuple({row["setting"] for row in rows if row["table"] == table})
        for numbered in read_reported(path, Reported(table=table, settings=here)).values():
            found += [value for each in numbered for value in (each.value, each.std or 0.0)]
    return found


def check_numbers(path: Path) -> object:
    read_reported(path, Reported(table="Table 1", settings=("epochs=800",)))
    found = numbers(path)
    assert all(math.isfinite(number) and 0 <= number <= 100 for number in found)
    return found


READERS = {
    "reported.csv": check_numbers,
    "deviations.csv": read_deviations,
    "datasets.csv": read_sources,
    "equivalent.csv": read_equivalences,
}


def reference(name: str) -> bytes:
    if name == "equivalent.csv":
        return EQUIVALENT.encode()
    return b"".join((ROOT / "reference" / name).read_bytes().splitlines(keepends=True)[:12])


@examples(100)
@given(
    st.sampled_from(sorted(READERS)).flatmap(lambda name: st.tuples(st.just(name), edits(reference(name))))
)
def test_a_reference_file_with_other_bytes(place, edited):
    name, content = edited
    path = place / name
    path.write_bytes(content)
    refused(READERS[name], path)


@pytest.fixture(scope="module")
def images(place, embedded_data):
    folder = place / "data/embedded/cifar-10-batches-py"
    shutil.copytree(embedded_data / "embedded/cifar-10-batches-py", folder)
    return folder, load_images(folder).fingerprint


def load_images(folder: Path):
    sizes = {"classes": 10, "train_size": 1000, "test_size": 250, "image_size": 16}
    return cifar.cifar(folder.parents[1], folder=folder.name, edition="embedded", **sizes)


@examples(40)
@given(st.data())
def test_a_data_folder_with_other_bytes(images, data):
    folder, fingerprint = images
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = path.read_bytes()
    try:
        if data.draw(st.booleans()):
            path.write_bytes(data.draw(edits(content)))
        else:
            path.unlink()
        found = refused(load_images, folder)
        assert found is None or found.fingerprint == fingerprint
    finally:
        path.write_bytes(content)


SETS = ("cub", "aircraft", "cars", "tiny_imagenet")
PIXELS = (".jpg", ".JPEG", ".png")


@pytest.fixture(scope="module")
def lists(place, embedded_data):
    """Set -> settings, the files that say what its images are, and the labels by name.

    The embedded editions are laid as genuine ones, which have no list of checksums.
    """
    found = {}
    for name in SETS:
        folder = read_part("dataset", name).folder(name)
        written = marker.read(embedded_data / "embedded" / folder)
        shutil.copytree(embedded_data / "embedded" / folder, place / "data/real" / folder, dirs_exist_ok=True)
        (place / "data/real" / folder / marker.NAME).unlink()
        sizes = {"classes": written.classes, "train_size": written.train, "test_size": written.test}
        values = {"use": name, "edition": "real", **sizes}
        if name == "tiny_imagenet":
            values["image_size"] = 64
        files = (path for path in sorted((place / "data/real" / folder).rglob("*")) if path.is_file())
        texts = [path for path in files if path.suffix not in PIXELS]
        whole = load_part("dataset", values, place / "data")
        found[name] = values, texts, whole
    return found


def content_of(dataset):
    def images(part):
        return [image.tobytes() for image in part.images] if isinstance(part, Split) else part.files.names

    return {
        split: list(zip(images(part), part.labels.tolist(), strict=True))
        for split, part in dataset.splits.items()
    }


@examples(60)
@given(st.sampled_from(SETS), st.data())
def test_a_list_of_images_with_other_bytes(place, lists, name, data):
    values, texts, whole = lists[name]
    path = data.draw(st.sampled_from(texts))
    content = path.read_bytes()
    try:
        if data.draw(st.integers(0, 4)):
            path.write_bytes(data.draw(edits(content)))
        else:
            path.unlink()
        found = refused(load_part, "dataset", values, place / "data")
        # Other labels are other data, whose records do not meet those of the whole set in a table.
        if found is not None:
            same = content_of(found) == content_of(whole)
            assert (found.fingerprint == whole.fingerprint) == same
    finally:
        path.write_bytes(content)
