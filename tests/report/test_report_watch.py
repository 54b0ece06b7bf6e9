"""`dmix report` renders what changed, once or as records arrive."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.paths import RunPaths
from dmix.verbs import report
from dmix.verbs.report import Product, Rendered
from project import ROOT, real_grid


@pytest.fixture
def here(tmp_path, monkeypatch, toy):
    monkeypatch.chdir(tmp_path)
    return toy.make_grid(toy.specs())


def lay(grid, name: str, text: str = "{}") -> Path:
    path = RunPaths(grid.tier, grid.folders[name]).record
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Drawn:
    """Two products, one of the first two runs and one of the third; counts how often each is rendered."""

    def __init__(self, grid, digest: str = "0") -> None:
        self.times = {"first": 0, "second": 0}
        self.names = tuple(grid.folders)[:3]
        self.error: Exception | None = None
        self.products = [
            Product("first", self.names[:2], digest, lambda: self.draw("first")),
            Product("second", self.names[2:], "0", lambda: self.draw("second")),
        ]

    def draw(self, name: str) -> list[Path]:
        if self.error:
            raise self.error
        self.times[name] += 1
        Path(f"{name}.txt").write_text(str(self.times))
        return [Path(f"{name}.txt")]


def test_only_what_changed_is_rendered_again(here, capsys):
    drawn = Drawn(here)
    rendered = Rendered(here, drawn.products)
    rendered.renew()
    rendered.renew()
    assert drawn.times == {"first": 1, "second": 1}
    lay(here, drawn.names[1])
    rendered.renew()
    assert drawn.times == {"first": 2, "second": 1}
    lay(here, drawn.names[1], '{"score": 1}').touch()
    rendered.renew()
    assert drawn.times == {"first": 3, "second": 1}
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[2] for line in told] == [
        *("first: 0 of 2 runs", "second: 0 of 1 runs"),
        *("first: 1 of 2 runs", "first: 1 of 2 runs"),
    ]


def test_what_shows_runs_in_progress_is_rendered_when_one_gets_further(here):
    drawn = Drawn(here)
    products = [replace(product, live=product.name == "second") for product in drawn.products]
    rendered = Rendered(here, products)
    rendered.renew()
    for name in drawn.names:
        path = RunPaths(here.tier, here.folders[name]).live_history
        path.parent.mkdir(parents=True)
        path.write_text("step\n1\n")
    rendered.renew()
    assert drawn.times == {"first": 1, "second": 2}


def test_another_process_goes_on_from_what_was_rendered(here):
    Rendered(here, Drawn(here).products).renew()
    again = Drawn(here)
    Rendered(here, again.products).renew()
    assert again.times == {"first": 0, "second": 0}
    edited = Drawn(here, digest="1")
    Rendered(here, edited.products).renew()
    assert edited.times == {"first": 1, "second": 0}
    Path("second.txt").unlink()
    gone = Drawn(here, digest="1")
    Rendered(here, gone.products).renew()
    assert gone.times == {"first": 0, "second": 1}
    Path("work/toy/rendered.json").write_text("{")
    all_anew = Drawn(here, digest="1")
    Rendered(here, all_anew.products).renew()
    assert all_anew.times == {"first": 1, "second": 1}


def test_what_cannot_be_rendered_is_told_once_until_its_records_change(here, capsys):
    drawn = Drawn(here)
    drawn.error = DmixError("two runs were trained on different data", "delete one")
    rendered = Rendered(here, drawn.products)
    rendered.renew()
    rendered.renew()
    assert capsys.readouterr().out.count("first cannot be rendered: two runs were trained") == 1
    drawn.error = None
    lay(here, drawn.names[0])
    rendered.renew()
    assert drawn.times == {"first": 1, "second": 0}
    assert set(rendered.failed) == {"second"}


def test_what_a_workflow_is_writing_just_now_is_rendered_at_the_next_look(here, capsys):
    """Snakemake deletes the outputs of a rule before it runs it, here those that another product reads."""
    drawn = Drawn(here)
    drawn.error = FileNotFoundError(2, "No such file", "paper_tables/toy/table1_numbers.tex")
    rendered = Rendered(here, drawn.products)
    rendered.renew()
    assert set(rendered.failed) == {"first", "second"}
    assert "first waits: paper_tables/toy/table1_numbers.tex is gone" in capsys.readouterr().out
    drawn.error = None
    rendered.renew()
    assert drawn.times == {"first": 1, "second": 1}
    assert rendered.failed == {}
    drawn.error = FileNotFoundError(2, "No such file", "reference/reported.csv")
    lay(here, drawn.names[0])
    with pytest.raises(FileNotFoundError):
        rendered.renew()


@pytest.fixture
def command(here, monkeypatch):
    """Return a function that runs the command, with what happens in each pause; it returns the products."""

    def run(watch: bool, *pauses, code: int = 0) -> Drawn:
        drawn = Drawn(here)
        left = list(pauses)
        monkeypatch.setattr(report, "load_grid", lambda tier, **_: here)
        monkeypatch.setattr(report, "PRODUCTS", (lambda grid: drawn.products[:-1],))
        monkeypatch.setattr(report, "AT_THE_END", (lambda grid: drawn.products[-1:],))
        monkeypatch.setattr(report.time, "sleep", lambda seconds: left.pop(0)(drawn))
        assert report.run(type("Options", (), {"tier": "toy", "watch": watch})()) == code
        assert not left
        return drawn

    return run


def interrupt(drawn) -> None:
    raise KeyboardInterrupt


def test_without_watch_it_renders_once(command, capsys):
    assert command(False).times == {"first": 1, "second": 1}
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("paper_tables/toy: 2 products, of 0 of")


def test_it_renders_as_records_arrive_and_the_last_when_interrupted(command, here):
    drawn = command(True, lambda drawn: lay(here, drawn.names[0]), lambda drawn: None, interrupt)
    assert drawn.times == {"first": 2, "second": 1}


def test_it_ends_by_itself_when_every_run_has_its_record(command, here):
    drawn = command(True, lambda _: [lay(here, name) for name in here.folders])
    assert drawn.times == {"first": 2, "second": 1}


def test_every_table_and_figure_is_a_product_with_its_files(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = real_grid("embedded")
    kinds = (*report.PRODUCTS, *report.AT_THE_END)
    found = {product.name: product for kind in kinds for product in kind(grid)}
    files = {"numbers", "ledger", "claims", "page", "paper"}
    assert found.keys() == {*grid.tables, *grid.settings_tables, *grid.figures, *files}
    assert len({product.digest for product in found.values()}) == len(found)
    table = found["table5"]
    assert table.runs == grid.table_runs(grid.tables["table5"])
    paths = table.render()
    assert Path("paper_tables/embedded/table5.tex") in paths
    assert all(path.is_file() for path in paths)


def test_numbers_and_ledger_are_the_files_of_the_workflow(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = real_grid("embedded")
    for name in grid.tables:
        write_text(tmp_path / f"paper_tables/embedded/{name}_numbers.tex", f"% {name}\n")
    rendered = [
        path.name for kind in (report.numbers, report.ledger) for p in kind(grid) for path in p.render()
    ]
    assert rendered == ["numbers.tex", "ledger.tex"]
    folder = Path("paper_tables/embedded")
    assert (folder / "numbers.tex").read_text() == "".join(f"% {name}\n" for name in grid.tables)
    with open(ROOT / "reference/deviations.csv", newline="") as stream:
        letters = [row["id"] for row in csv.DictReader(stream)]
    assert re.findall(r"^\\dmixentry\{(\w+)\}", (folder / "ledger.tex").read_text(), re.M) == letters
