"""Which images keep their labels: the hash rule, both balanced draws, and lists that others published."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from test_splits import GOLDENS, PERCENTS, TOY, dataset, names_of, shuffled, toy_rows

from dmix import cli
from dmix.data.labels import published as published_lists
from dmix.data.labels.balanced import balanced
from dmix.data.labels.balanced_pcg import balanced_pcg
from dmix.data.labels.hash_rule import hash_rule
from dmix.data.labels.per_class import draw
from dmix.data.labels.published import LISTS, Lists, published
from dmix.data.labels.splits import digest_of
from dmix.data.obtain.fetch import fetch
from dmix.data.obtain.import_item import import_item
from dmix.data.obtain.verify import verify_files
from dmix.data.sets.dataset import Dataset, Split
from dmix.data_items import read_sources
from dmix.errors import DmixError
from dmix.files import line_digest
from dmix.grid.parts import read_part
from dmix.grid.presence import way_to_get
from dmix.grid.spec import RunSpec
from obtaining import Place, files_below, item, served, table
from project import ROOT

LEGACY = GOLDENS["ssl_legacy_draw"]
TARGETS = {
    10: (7 * np.arange(50000) + np.arange(50000) // 13) % 10,
    100: (31 * np.arange(50000) + np.arange(50000) // 7) % 100,
}
COUNTS = {10: 250, 100: 400}
GENUINE = read_sources(ROOT / "reference/datasets.csv")["label_lists"]
OF_FILE = {
    lists.file(percent): digest for lists in LISTS.values() for percent, digest in lists.digests.items()
}


def in_memory(labels: np.ndarray, classes: int) -> Dataset:
    train = Split(np.zeros((len(labels), 3, 1, 1), np.uint8), labels)
    test = Split(np.zeros((1, 3, 1, 1), np.uint8), np.zeros(1, np.int64))
    return Dataset("cifar", "embedded", classes, {"train": train, "test": test})


def genuine(name: str) -> Dataset:
    """Return a data set of as many images of each class as the genuine one."""
    histogram = GOLDENS["tl_per_class_histograms"][name]
    sizes = np.repeat([int(size) for size in histogram], list(histogram.values()))
    return dataset(shuffled(toy_rows(sizes.tolist())), len(sizes), name)


# --- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "right", "wrong"),
    [
        ("hash_rule", {"percent": 1}, {"percent": 0}),
        ("hash_rule", {"percent": 100, "draw": 3}, {"percent": 101}),
        ("hash_rule", {"percent": 15}, {"percent": 15, "draw": -1}),
        ("balanced", {"count": 250}, {"count": 0}),
        ("balanced_pcg", {"count": 1}, {"count": 2.5}),
        ("published", {"percent": 30}, {"percent": 100}),
    ],
)
def test_parts_and_their_settings(part, right, wrong):
    model = read_part("labels", part).model
    assert model(**right)
    with pytest.raises(ValidationError):
        model(**wrong)
    with pytest.raises(ValidationError):
        model()


# --- the hash rule -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [list, shuffled], ids=["sorted", "shuffled"])
def test_hash_rule_is_golden_whatever_the_order_of_files_and_the_seed_of_the_run(mix):
    data = dataset(mix(toy_rows()))
    for number in (0, 1):
        for percent, digest in TOY[f"digest_seed{number}"].items():
            for seed in (0, 5):
                assert hash_rule(data, seed, percent=int(percent), draw=number).digest == digest
    assert hash_rule(data, 1, percent=15).digest == TOY["digest_seed0"]["15"]


@pytest.mark.parametrize("name", GOLDENS["tl_expected_sizes"])
def test_hash_rule_has_the_published_sizes_in_nested_disjoint_parts(name):
    expected, data = GOLDENS["tl_expected_sizes"][name], genuine(name)
    train = data.splits["train"]
    whole = np.bincount(train.labels)
    before: set[str] = set()
    for percent in (*PERCENTS, 100):
        found = hash_rule(data, 0, percent=percent)
        assert len(found.labelled) == expected[str(percent)]
        assert len(found.unlabelled) == expected["100"] - expected[str(percent)]
        both = np.concatenate([found.labelled, found.unlabelled])
        np.testing.assert_array_equal(np.sort(both), np.arange(len(train)))
        counts = [math.ceil(Fraction(percent, 100) * n) for n in whole.tolist()]
        assert np.bincount(train.labels[found.labelled]).tolist() == counts
        assert before < set(found.names) <= set(train.files.names)
        assert set(found.names).isdisjoint(data.splits["test"].files.names)
        before = set(found.names)


def test_hash_rule_needs_paths():
    with pytest.raises(DmixError, match="cifar have no paths"):
        hash_rule(in_memory(np.arange(10), 10), 0, percent=15)


# --- equally many of each class ------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_balanced_is_torchssls_draw(classes, seed):
    targets, count = TARGETS[classes], COUNTS[classes]
    golden = LEGACY["by_seed"][str(seed)]
    drawn = draw(targets, classes, count // classes, np.random.RandomState(seed))
    assert drawn[:12].tolist() == golden[f"c{classes}_first12"]
    assert hashlib.sha256(drawn.astype("<i8").tobytes()).hexdigest() == golden[f"c{classes}_sha256"]
    found = balanced(in_memory(targets, classes), seed, count=count)
    assert found.labelled.tolist() == sorted(drawn.tolist())
    assert np.bincount(targets[found.labelled]).tolist() == [count // classes] * classes
    np.testing.assert_array_equal(found.unlabelled, np.arange(50000))  # the labelled ones included
    assert found.names == tuple(f"train/{row:06d}" for row in found.labelled.tolist())
    assert found.digest == digest_of(found.names)
    assert found.labelled.dtype == found.unlabelled.dtype == np.int64


@pytest.mark.parametrize("draws", [balanced, balanced_pcg])
def test_balanced_draws_depend_on_the_seed_alone(draws):
    data = in_memory(TARGETS[10], 10)
    found = [draws(data, seed, count=40).digest for seed in (0, 0, 1, 2)]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert len(draws(data, 0, count=46150).labelled) == 46150  # all there are of the rarest class


def test_the_modern_draw_is_another_one_by_the_same_rule():
    data, rng = in_memory(TARGETS[10], 10), np.random.Generator(np.random.PCG64(4))
    expected = [
        row
        for label in range(10)
        for row in rng.choice(np.flatnonzero(TARGETS[10] == label), 25, replace=False).tolist()
    ]
    found = balanced_pcg(data, 4, count=250)
    assert found.labelled.tolist() == sorted(expected)
    np.testing.assert_array_equal(found.unlabelled, np.arange(50000))
    assert found.digest != balanced(data, 4, count=250).digest


def test_images_on_disk_can_be_drawn_by_number_too():
    data = dataset(shuffled(toy_rows()))
    found = balanced(data, 0, count=9)
    assert found.names == tuple(sorted(names_of(data, found.labelled)))
    assert len(found.unlabelled) == 83


@pytest.mark.parametrize("draws", [balanced, balanced_pcg])
@pytest.mark.parametrize(
    ("count", "message", "way_out"),
    [
        (251, "251 labels cannot be equally many of each of the 10 classes of cifar", "a multiple of 10"),
        (5, "5 labels cannot be equally many", "a multiple of 10"),
        (
            46160,
            "46160 labels are 4616 of each class of cifar, .* only 4615 training images",
            "at most 46150",
        ),
    ],
)
def test_counts_that_classes_cannot_have(draws, count, message, way_out):
    with pytest.raises(DmixError, match=message) as caught:
        draws(in_memory(TARGETS[10], 10), 0, count=count)
    assert way_out in caught.value.way_out


def test_a_class_without_images_cannot_have_a_label():
    with pytest.raises(DmixError, match="only 0 training images"):
        balanced(in_memory(np.array([0, 0, 2, 2]), 3), 0, count=3)


# --- published lists -----------------------------------------------------------------------------------

# Of each data set: our paths, the class of each, and a list as published ones are written.
IN_OURS = {
    "cub": "images/00{c}.Bird/Bird_{i:04d}.jpg",
    "aircraft": "data/images/{c}{i:06d}.jpg",
    "cars": "car_ims/0{c}{i:04d}.jpg",
}
IN_LIST = {
    "cub": "train/00{c}.Bird/Bird_{i:04d}.jpg",
    "aircraft": "train/F-A {c}8/{c}{i:06d}.jpg",
    "cars": "train/{c}/0{c}{i:04d}.jpg",
}
CHOSEN = [(2, 5), (0, 3), (1, 0), (2, 1)]


def made_up(name: str, test: str | None = None) -> Dataset:
    """Return a data set of three classes of six images, one of which may be in the test split."""
    rows = [(IN_OURS[name].format(c=c, i=i), c) for c in range(3) for i in range(6)]
    return dataset(shuffled([row for row in rows if row[0] != test]), 3, name)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(monkeypatch, name: str, content: bytes, percent: int = 15) -> Path:
    """Put a list in place, and let it be the one that was published."""
    path = Path("data/real/label_lists", LISTS[name].file(percent))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    known = LISTS[name]._replace(digests={percent: line_digest(content)})
    monkeypatch.setattr(published_lists, "LISTS", {**LISTS, name: known})
    return path


def lines(name: str, chosen=CHOSEN) -> bytes:
    return "".join(IN_LIST[name].format(c=c, i=i) + "\n" for c, i in chosen).encode()


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("percent", PERCENTS)
def test_a_published_list_says_what_is_labelled(here, monkeypatch, name, percent):
    publish(monkeypatch, name, lines(name), percent)
    data = made_up(name)
    found = published(data, 0, percent=percent)
    assert found.names == tuple(sorted(IN_OURS[name].format(c=c, i=i) for c, i in CHOSEN))
    assert sorted(names_of(data, found.labelled)) == list(found.names)
    assert found.labelled.tolist() == sorted(found.labelled.tolist())
    both = np.concatenate([found.labelled, found.unlabelled])
    np.testing.assert_array_equal(np.sort(both), np.arange(18))
    assert found.digest == digest_of(found.names) == published(data, 7, percent=percent).digest


def test_a_list_may_be_in_any_order_and_end_its_lines_as_windows_does(here, monkeypatch):
    path = publish(monkeypatch, "cub", lines("cub"))
    expected = published(made_up("cub"), 0, percent=15)
    path.write_bytes(b"\r\n" + lines("cub", CHOSEN[::-1]).replace(b"\n", b" \r\n").rstrip())
    found = published(made_up("cub"), 0, percent=15)
    assert found.labelled.tolist() == expected.labelled.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "15_train.txt is missing"),
        (lines("cub", CHOSEN[1:]), "cub200_15_train.txt is not the published list"),
        (lines("cub") + lines("cub", CHOSEN[:1]), "is not the published list"),
        (b"", "is not the published list"),
        (b"\xff\xfe", "is not the published list"),
    ],
    ids=["missing", "a line less", "a line twice", "empty", "no text"],
)
def test_what_is_not_the_published_list_is_refused(here, monkeypatch, content, message):
    path = publish(monkeypatch, "cub", lines("cub"))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DmixError, match=message) as caught:
        published(made_up("cub"), 0, percent=15)
    assert "run: dmix data fetch label_lists" in caught.value.way_out


def test_a_list_that_cannot_be_read(here, monkeypatch):
    path = publish(monkeypatch, "cub", lines("cub"))
    path.unlink()
    path.mkdir()
    with pytest.raises(DmixError, match=r"cannot read .*: Is a directory"):
        published(made_up("cub"), 0, percent=15)


@pytest.mark.parametrize("name", LISTS)
def test_a_line_must_name_a_training_image(here, monkeypatch, name):
    publish(monkeypatch, name, lines(name))
    gone = IN_OURS[name].format(c=1, i=0)
    with pytest.raises(DmixError, match=f"{IN_LIST[name].format(c=1, i=0)}: {gone} is no training image"):
        published(made_up(name, test=gone), 0, percent=15)


def test_lists_of_cars_do_not_go_with_its_form_of_two_folders(here, monkeypatch):
    publish(monkeypatch, "cars", lines("cars"))
    rows = [(f"cars_train/0{c}{i:04d}.jpg", c) for c in range(3) for i in range(6)]
    with pytest.raises(DmixError, match="is no training image of cars") as caught:
        published(dataset(rows, 3, "cars"), 0, percent=15)
    assert "merged form" in caught.value.way_out


def test_other_data_sets_have_no_lists():
    with pytest.raises(DmixError, match=r"no lists .* for toy"):
        published(dataset(toy_rows()), 0, percent=15)


def test_the_order_and_the_ends_of_lines_do_not_count():
    expected = hashlib.sha256(b"a b\nc\nc\n\xc3\xa9\n").hexdigest()
    for content in (
        b"a b\nc\nc\n\xc3\xa9\n",
        b"c \r\n\r\n\xc3\xa9\r\n \na b\r\nc",
        b"\n\xc3\xa9\nc\t\na b\nc\n",
    ):
        assert line_digest(content) == expected
    assert line_digest(b"a b\nc\n\xc3\xa9\n") != expected


# --- getting the lists ---------------------------------------------------------------------------------


def test_the_table_has_every_list_and_its_digest():
    assert GENUINE.kind == "lists"
    assert str(Path("data/real") / GENUINE.path) == str(published_lists.FOLDER)
    assert {file.name: file.checksum for file in GENUINE.files} == OF_FILE
    assert len(OF_FILE) == len(set(OF_FILE.values())) == 9
    assert {file.algorithm for file in GENUINE.files} == {"sha256_lines"}
    assert all(source.endswith(f"/{file.name}") for file in GENUINE.files for source in file.sources)
    assert GENUINE.command == published_lists.FETCH


def rows_of(server, contents: dict[str, bytes]) -> list[dict[str, object]]:
    usual = {"item": "label_lists", "kind": "lists", "path": "label_lists", "place": "copy"}
    return [
        usual
        | {"file": name, "url": server.url(name), "algorithm": "sha256_lines", "checksum": line_digest(text)}
        for name, text in contents.items()
    ]


CONTENTS = {"a.txt": b"two\none\n", "b.txt": b"three\n"}


def test_lists_are_fetched_imported_and_verified(here, capsys):
    with served(a__txt=b"one\ntwo\n", b__txt=CONTENTS["b.txt"]) as server:
        table(here / "reference/datasets.csv", *rows_of(server, CONTENTS))
        assert cli.main(["data", "fetch", "label_lists"]) == 0
    assert files_below(here / "data/real/label_lists") == {**CONTENTS, "a.txt": b"one\ntwo\n"}
    assert cli.main(["data", "verify", "label_lists"]) == 0
    assert "label_lists: data/real/label_lists holds the published files" in capsys.readouterr().out
    (here / "data/real/label_lists/b.txt").write_text("four\n")
    assert cli.main(["data", "verify", "label_lists"]) == 2
    assert "b.txt is not b.txt: its sha256_lines is" in capsys.readouterr().err


def test_a_list_that_was_changed_at_its_source_is_not_taken(here):
    place = Place(here / "data")
    with served(a__txt=b"two\nother\n", b__txt=CONTENTS["b.txt"]) as server:
        wanted = item(here, *rows_of(server, CONTENTS))
        with pytest.raises(DmixError, match=r"no source gave a\.txt: .* its sha256_lines is"):
            fetch(wanted, place.data, None, place.told.append)
    assert place.left() == []


def test_a_folder_of_lists_is_imported_and_no_part_of_one(here):
    place, own = Place(here / "data"), here / "own"
    own.mkdir()
    with served() as server:
        wanted = item(here, *rows_of(server, CONTENTS))
    (own / "a.txt").write_bytes(CONTENTS["a.txt"])
    with pytest.raises(DmixError, match="is not all of label_lists") as caught:
        import_item(wanted, own, place.data, None, place.told.append)
    assert caught.value.way_out == "give a path to a folder with a.txt + b.txt"
    (own / "b.txt").write_bytes(CONTENTS["b.txt"])
    import_item(wanted, own, place.data, None, place.told.append)
    assert files_below(place.data / "real/label_lists") == CONTENTS
    assert verify_files(wanted, place.data).endswith("holds the published files")


def spec(edition: str, **labels: object) -> RunSpec:
    settings = {"dataset": {"edition": edition}, "labels": labels, "recipe": {"init": "random"}}
    return RunSpec("transfer", {"dataset": "cub"}, settings, (), {}, 0)


def test_runs_on_published_lists_wait_for_them(here):
    items = read_sources(ROOT / "reference/datasets.csv")
    wanting = spec("real", use="published", percent=15)
    assert way_to_get(wanting, items, ()) == "run dmix data fetch cub"
    (here / "data/real/CUB_200_2011").mkdir(parents=True)
    assert way_to_get(wanting, items, ()) == "run dmix data fetch label_lists"
    assert way_to_get(spec("real", use="hash_rule", percent=15), items, ("cub",)) is None
    assert way_to_get(spec("real"), items, ()) is None
    assert (
        way_to_get(spec("embedded", use="published", percent=15), items, ("cub",))
        == "run dmix data fetch label_lists"
    )
    (here / "data/real/label_lists").mkdir()
    assert way_to_get(wanting, items, ()) is None
    assert isinstance(LISTS["cub"], Lists)
