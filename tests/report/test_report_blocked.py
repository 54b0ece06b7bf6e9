"""Runs whose data are not on this machine: gaps, and a note that says how to get them."""

import itertools

import pytest

from dmix.report.caption import notes as notes_of
from dmix.report.compare import compare
from dmix.report.sheet import paper
from dmix.report.text import to_text


def notes(data):
    return tuple(note.text for note in notes_of(data))


def specs(toy, datasets, policies=("mix", "auto")):
    for dataset, policy, backbone in itertools.product(datasets, policies, ("r18", "rx50")):
        for objective, seed in itertools.product(("mce", "dm_ce"), range(3)):
            yield toy.spec_of(policy, backbone, objective, seed, dataset=dataset)


def filled(toy, runs):
    grid = toy.make_grid(runs)
    for spec in grid.runs.values():
        if grid.blocked(spec.name) is None and spec.name in grid.folders:
            toy.write(grid, spec, 50.0)
    return grid


def test_the_frame_says_how_to_get_the_data(toy):
    frame = toy.frame(toy.make_grid(specs(toy, ["far"]))).set_index("name")
    blocked = frame.loc["supervised/far/r18/mix/mce/s0"]
    assert (blocked["state"], blocked["problem"]) == ("blocked", "dmix data fetch far")
    assert (blocked["folder"], blocked["code_digest"], blocked["recipe"]) == ("", "", "toy")
    assert set(frame["state"]) == {"blocked"}


def test_a_blocked_data_set_is_named_by_its_header(toy):
    data = toy.table(filled(toy, specs(toy, ["toy100", "far"])))
    assert notes(data) == ("8 cells blocked (dmix data fetch far): Far-5.",)
    assert {cell.mean for row in data.cells for cell in row[4:]} == {None}
    assert {(cell.state, cell.mean) for row in data.cells for cell in row[:4]} == {("done", 50.0)}
    assert "8 cells blocked (dmix data fetch far): Far-5." in to_text(paper(data))


def test_rows_are_named_where_everything_is_blocked(toy):
    data = toy.table(filled(toy, specs(toy, ["far"])))
    assert notes(data) == ("8 cells blocked (dmix data fetch far): Mix_up & Co, Auto*Mix.",)


def test_rows_are_named_where_headers_do_not_say_it(toy):
    data = toy.table(filled(toy, specs(toy, ["far"], ("mix", "puzzle", "auto"))))
    assert notes(data) == (
        "4 cells not yet implemented: PuzzleMix.",
        "8 cells blocked (dmix data fetch far): Mix_up & Co, Auto*Mix.",
    )


def test_a_part_of_the_rows_and_columns(toy):
    runs = [*specs(toy, ["toy100"]), *specs(toy, ["far"], ("mix", "puzzle"))]
    assert notes(toy.table(filled(toy, runs))) == (
        "4 cells not yet implemented: PuzzleMix.",
        "4 cells blocked (dmix data fetch far): Mix_up & Co (Far-5 ResNet-18 MCE, "
        "Far-5 ResNet-18 DM(CE), Far-5 ResNeXt-50 (32x4d) MCE, Far-5 ResNeXt-50 (32x4d) DM(CE)).",
    )


def test_each_way_out_has_its_note(toy, monkeypatch):
    grid = filled(toy, specs(toy, ["toy100", "toy10", "far"]))
    ways = {"toy100": "put r18.pth into data/real/weights", "far": "dmix data fetch far"}
    monkeypatch.setattr(type(grid), "blocked", lambda _, name: ways.get(name.split("/")[1]))
    assert notes(toy.table(grid)) == (
        "8 cells blocked (put r18.pth into data/real/weights): Toy-100 {made_up}.",
        "8 cells blocked (dmix data fetch far): Far-5.",
    )


def test_missing_cells_are_named_by_their_header_too(toy):
    grid = filled(toy, specs(toy, ["toy100"]))
    more = toy.make_grid([*specs(toy, ["toy100"]), *specs(toy, ["toy10"])])
    assert more.folders.items() >= grid.folders.items()
    assert notes(toy.table(more)) == ("8 cells without a record: Toy-10.",)


@pytest.mark.parametrize("backbone", ["r18", "rx50"])
def test_an_inner_header_is_named_with_those_around_it(toy, backbone):
    runs = [*specs(toy, ["toy100", "toy10"])]
    grid = toy.make_grid(runs)
    for spec in runs:
        if (spec.axes["dataset"], spec.axes["backbone"]) != ("toy10", backbone):
            toy.write(grid, spec, 50.0)
    title = grid.params.backbones[backbone].title
    assert notes(toy.table(grid)) == (f"4 cells without a record: Toy-10 {title}.",)


def test_a_blocked_cell_has_no_record_to_compare(toy):
    grid = toy.make_grid(specs(toy, ["far"]))
    assert {row.verdict for row in compare(toy.table(grid), grid.params)} == {"no record"}
