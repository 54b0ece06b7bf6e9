"""The frame holds every run asked for, and a number only where a record is exactly the grid's."""

import csv
import io
import json
import math
import os

import pytest

from dmix.errors import DmixError
from dmix.files import sha256
from dmix.grid.damage import damage
from dmix.grid.paths import WEIGHTS, weights_beside
from dmix.record import read_record
from dmix.report.frame import LEADING, NUMBERS, TRAILING, load_frame, to_csv


def row(frame, name):
    return frame.set_index("name").loc[name]


def test_one_row_per_run_in_order(toy):
    frame = toy.frame(toy.grid)
    assert list(frame["name"]) == list(toy.grid.runs)
    assert tuple(frame.columns) == (*LEADING, *TRAILING)
    assert frame["state"].value_counts().to_dict() == {
        "done": 32,
        "not yet implemented": 12,
        "missing": 9,
        "invalid": 1,
    }


def test_values_of_a_record(toy):
    done = row(toy.frame(toy.grid), "supervised/toy100/r18/mix/mce/s1")
    assert (done["score"], done["best"], done["primary"], done["resumes"]) == (72.3, 73.3, "student", 1)
    assert done["folder"] == f"{done.name}-{done['spec_digest']}-{done['code_digest']}"
    assert (done["data_edition"], done["device"], done["git_commit"]) == ("embedded", "cpu", "")
    assert done["recipe"] == "toy"


def test_not_implemented_names_the_files(toy):
    absent = row(toy.frame(toy.grid), "supervised/toy100/r18/puzzle/mce/s0")
    assert (absent["state"], absent["problem"]) == ("not yet implemented", "dmix/policies/puzzle.py")
    assert absent["folder"] == ""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"spec_digest": "00000000"}, "spec_digest is 00000000"),
        ({"code_digest": "00000000"}, "code_digest is 00000000"),
        ({"name": "another/run/s0"}, "name is another/run/s0"),
        ({"seed": 5}, "seed is 5"),
        ({"spec": {}}, "spec.backbone differs"),
        ({"data_edition": "real"}, "trained on real data, the grid asks for embedded data"),
        ({"primary": "teacher"}, "no scores of the primary predictor teacher"),
        ({"score": 99.0}, "score is 99.0, median_last10 of student is 50.0"),
    ],
)
def test_a_record_that_says_otherwise_is_never_a_number(toy, changes, problem):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    toy.write(toy.grid, spec, 50.0, **changes)
    bad = row(toy.frame(toy.grid), spec.name)
    assert bad["state"] == "invalid"
    assert problem in bad["problem"]
    assert bad[list(NUMBERS)].isna().all()
    assert toy.table(toy.grid).cells[1][0].n == 2


def test_a_record_that_calls_evaluations_readings_stays_valid(toy):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    path = toy.write(toy.grid, spec, 50.0, evaluations=(3, 5))
    old = {key: value for key, value in json.loads(path.read_text()).items() if not key.endswith("y_sha256")}
    del old["record_sha256"]
    old |= {"schema_version": 1, "readings": old.pop("evaluations")}
    path.write_text(json.dumps(old))
    assert read_record(path).evaluations == (3, 5)
    assert row(toy.frame(toy.grid), spec.name)["state"] == "done"
    path.write_text(json.dumps({**old, "evaluations": [3]}))
    assert row(toy.frame(toy.grid), spec.name)["state"] == "invalid"


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"name": 3}'])
def test_a_broken_record_is_invalid_and_its_problem_names_no_place(toy, content):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    (toy.root / toy.grid.folders[spec.name] / "record.json").write_text(content)
    bad = row(toy.frame(toy.grid), spec.name)
    assert bad["state"] == "invalid"
    assert bad["problem"].startswith("the record record.json is not valid")
    assert str(toy.root) not in to_csv(toy.frame(toy.grid))


def test_one_edited_setting_is_found(toy):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    changed = spec.identity()
    changed["policy"] = {**changed["policy"], "alpha": 0.3}
    toy.write(toy.grid, spec, 50.0, spec=changed)
    assert row(toy.frame(toy.grid), spec.name)["problem"] == "spec.policy differs from the grid's"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"best": 51.0', '"best": 52.0'),  # a number of the frame that no other one contradicts
        ('"seconds": 60.5', '"seconds": 6.5'),
        ('"seconds": 60.5', '"seconds": 60.5, "seconds": 60.5'),
        ('"schema_version": 2', '"schema_version": 1'),
        ('"resumes": 1', '"resumes": true'),
        ('"git_commit": null', '"git_commit": "\\ud800"'),
        ('"seconds": 60.5', '"seconds": 1e999'),
        ('"seconds": 60.5', '"seconds": NaN'),
        ('"started": "2000', '"started": "\x07'),
    ],
)
def test_a_record_that_was_edited_is_never_a_number(toy, old, new):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    path = toy.write(toy.grid, spec, 50.0)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    bad = row(toy.frame(toy.grid), spec.name)
    assert (bad["state"], bad["folder"]) == ("invalid", toy.grid.folders[spec.name])
    assert bad[list(NUMBERS)].isna().all()
    assert damage(path.parent, weights_of(toy, path))


def weights_of(toy, record):
    return weights_beside(toy.root) / record.parent.relative_to(toy.root) / WEIGHTS


@pytest.mark.parametrize("name", ["weights.safetensors", "history.csv"])
@pytest.mark.parametrize("fault", ["missing", "cut", "edited", "edited with its time kept"])
def test_a_run_whose_files_are_not_those_of_its_record_is_never_a_number(toy, name, fault):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    record = toy.write(toy.grid, spec, 50.0)
    path = weights_of(toy, record) if name.startswith("weights") else record.with_name(name)
    for every in (path, record):
        os.utime(every, (1e9, 1e9))
    content, before = path.read_bytes(), path.stat()
    assert row(toy.frame(toy.grid), spec.name)["state"] == "done"
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if fault == "cut" else bytes([content[0] ^ 1]) + content[1:])
    if "time" in fault:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    bad = row(toy.frame(toy.grid), spec.name)
    assert bad["state"] == "damaged"
    assert bad["problem"].startswith(f"{name} ")
    assert bad[list(NUMBERS)].isna().all()
    assert toy.table(toy.grid).cells[1][0].n == 2
    path.write_bytes(content)
    assert row(toy.frame(toy.grid), spec.name)["state"] == "done"


def test_a_file_is_hashed_again_only_where_it_changed(toy, monkeypatch):
    hashed = []
    monkeypatch.setattr("dmix.grid.damage.sha256", lambda path: hashed.append(path) or sha256(path))
    monkeypatch.setattr("dmix.grid.damage.SETTLED_SECONDS", 0.0)
    toy.frame(toy.grid)
    assert len(hashed) == 2 * 32  # weights and history of every finished run
    toy.frame(toy.grid)
    assert len(hashed) == 2 * 32
    os.utime(hashed[0])
    toy.frame(toy.grid)
    assert hashed[64:] == [hashed[0]]
    (toy.root.parent / "digests.json").write_text("[broken")
    assert (toy.frame(toy.grid)["state"] == "done").sum() == 32
    assert len(hashed) == 65 + 64


def test_different_data_in_one_frame_are_refused(toy):
    toy.write(toy.grid, toy.spec_of("mix", "r18", "mce", 2), 50.0, data_fingerprint="other")
    with pytest.raises(DmixError) as caught:
        toy.frame(toy.grid)
    assert "toy100/r18/vanilla/ce/s0 (fingerprint ffffffff)" in caught.value.message
    assert "toy100/r18/mix/mce/s2 (fingerprint other)" in caught.value.message
    assert caught.value.way_out


def test_data_sets_and_invalid_records_have_fingerprints_of_their_own(toy):
    other = toy.spec_of("mix", "r18", "mce", 0, dataset="toy10")
    grid = toy.make_grid([*toy.specs(), other])
    toy.write(grid, other, 50.0, data_fingerprint="other")
    toy.write(grid, toy.spec_of("mix", "r18", "mce", 2), 50.0, data_fingerprint="third", seed=7)
    assert (toy.frame(grid)["state"] == "invalid").sum() == 2


def test_extra_axes_are_columns(toy):
    specs = [toy.spec_of("mix", "r18", "dm_ce", 0, [("objective.eta", eta)]) for eta in (0.1, 2)]
    grid = toy.make_grid([*specs, toy.spec_of("mix", "r18", "mce", 0)])
    frame = toy.frame(grid)
    assert list(frame["objective.eta"]) == [0.1, 2, ""]
    assert [line["objective.eta"] for line in csv.DictReader(io.StringIO(to_csv(frame)))] == ["0.1", "2", ""]


def test_a_run_at_the_usual_value_has_it_in_the_column(toy):
    usual = toy.spec_of("mix", "r18", "dm_ce", 0, eta=1.0)
    grid = toy.make_grid([usual, toy.spec_of("mix", "r18", "dm_ce", 0, [("objective.eta", 2)])])
    frame = toy.frame(grid)
    assert list(frame["objective.eta"]) == [1.0, 2]
    assert [type(value) for value in frame["objective.eta"]] == [float, int]


def test_settings_that_are_asked_for_are_columns(toy):
    frame = toy.frame(toy.make_grid([toy.spec_of("mix", "r18", "mce", 0)]), ["policy.alpha", "view.none"])
    assert list(frame[["policy.alpha", "view.none"]].iloc[0]) == [0.2, ""]
    assert tuple(frame.columns) == (*LEADING, "policy.alpha", "view.none", *TRAILING)


def test_csv_is_deterministic_and_keeps_every_digit(toy):
    spec = toy.spec_of("mix", "r18", "mce", 0)
    toy.write(toy.grid, spec, 100 / 3)
    frame = toy.frame(toy.grid)
    text = to_csv(frame)
    assert text == to_csv(toy.frame(toy.make_grid(toy.specs())))
    assert "\r" not in text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert row(frame, spec.name)["score"] == 100 / 3
    for column in NUMBERS:
        kept = [value for value in frame[column] if not math.isnan(value)]
        assert [float(line[column]) for line in lines if line[column]] == kept


def test_no_runs(toy):
    frame = load_frame(toy.grid, (), toy.root)
    assert len(frame) == 0
    assert to_csv(frame).count("\n") == 1
