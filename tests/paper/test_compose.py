"""main.tex has everything once, and its first page the numbers that follow from the records."""

import re

import pytest

from dmix.errors import DmixError
from dmix.paper.agreement import agreement, comparisons
from dmix.paper.coverage import commits, coverage, shares
from dmix.report.build import load_table
from dmix.report.frame import load_frame
from rendered import REFERENCE, rendered

pytestmark = pytest.mark.slow


def by_objective(spec):
    """Every gain of an objective is one point, without any spread."""
    return 50.0 + spec.axes["objective"].startswith("dm_")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    return rendered("embedded", tmp_path_factory.mktemp("tier"), score=by_objective)


@pytest.fixture(scope="module")
def main(there):
    return there.main()


def test_every_table_and_figure_is_read_once(there, main):
    read = re.findall(r"\\input\{(\w+)\}|\\dmixinputtable(?:\{[^}]*\}){2}\{(\w+)\}", main)
    figures = re.findall(r"\\dmixinputfigure\{[^}]*\}\{(\w+)\}", main)
    names = [first or second for first, second in read]
    assert sorted([*names, *figures]) == sorted({file.partition(".")[0] for file in there.files})


def test_floats_have_the_papers_numbers(there, main):
    for name, table in there.grid.tables.items():
        for form, file in (("beside", f"{name}_beside"), ("paper", name)):
            assert rf"\dmixinputtable{{{form}}}{{{table.number}}}{{{file}}}" in main
    for name, figure in there.grid.figures.items():
        assert rf"\dmixinputfigure{{{figure.number}}}{{{name}}}" in main


def test_all_gains_are_counted_as_clear(there, main):
    data = load_table(there.grid, "table1", there.runs, REFERENCE)
    found = agreement(data, comparisons(data, there.grid.params))
    cells = [cell for row in data.cells for cell in row if cell.objective == "dm_ce"]
    assert found.gains == len(cells) > 10
    assert (found.positive, found.intervals, found.clear, found.reversed_) == (*[found.gains] * 3, 0)
    line = f"{found.gains} of {found.gains} paired gains of DM(CE) over MCE are above zero"
    assert line in " ".join(main.split())


def test_the_first_page_says_what_was_run(there, main):
    runs = len(there.grid.runs)
    assert f"{runs} of {runs} runs are done." in main
    assert r"\texttt{0000000000}" in main
    assert "not trained yet" not in main
    assert there.grid.params.tiers["embedded"].note.split()[0] in main
    assert "No number is comparable" in main


def test_the_same_records_give_the_same_text(there, main):
    assert there.main() == main


def test_coverage_counts_states(there):
    frame = load_frame(there.grid, tuple(there.grid.runs), there.runs)
    states = ["done", "blocked", "missing", "invalid", "damaged", "not yet implemented"]
    frame.loc[range(6), "state"] = states
    found = coverage(frame, frame["name"][:7])
    assert (found.runs, found.done, found.blocked, found.missing) == (7, 2, 1, 1)
    assert (found.unusable, found.unimplemented, found.hours) == (2, 1, 2.0)
    frame.loc[0, "git_commit"] = ""
    assert [(share.name, share.runs) for share in commits(frame)] == [
        ("0" * 10, len(frame) - 6),
        ("outside of a git repository", 1),
    ]
    assert [(share.name, share.hours) for share in shares(frame, "device")] == [("cpu", len(frame) - 5.0)]


def test_a_file_that_is_not_rendered_yet_is_named(there, tmp_path):
    with pytest.raises(DmixError, match=rf"{tmp_path} has no table1_beside.tex, .* more") as raised:
        type(there)(there.grid, there.runs, tmp_path).main()
    assert "make reproduce TIER=embedded" in str(raised.value)
