"""The page as text: what it shows, that nothing foreign is HTML, that it stays small and loads nothing."""

import base64
import hashlib
import html
import json
import re

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from dmix.errors import DmixError
from dmix.grid.origins import told
from dmix.page.digest import page_digest
from dmix.page.figures import ATTEMPTS, small, together
from dmix.page.packing import unpack
from dmix.page.render import as_script, environment
from dmix.page.tables import Cell, Head, Line, View, address, view
from dmix.report.numbers import GAP
from page.conftest import FAILED, FOREIGN, INVALID, ROWS, RUNNING, STOPPED, inside, invented_history

MOST_PAGE_BYTES = 3_000_000


def data_of(page):
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def run_of(data, name):
    """Return the columns of one run as its own values."""
    first = 0
    for cell in data["cells"]:
        seeds = data["runs"]["seed"][first : first + cell["runs"]]
        if name.rpartition("/")[0] == cell["name"]:
            at = first + seeds.index(int(name.rpartition("/s")[2]))
            return cell, {column: values[at] for column, values in data["runs"].items()}
        first += cell["runs"]
    raise AssertionError(name)


@pytest.fixture(scope="module")
def page(site):
    return site.page.read_text()


@pytest.fixture(scope="module")
def data(page):
    return data_of(page)


def test_nothing_is_loaded(page):
    outside = re.findall(
        r"""(?:src|href|action|poster|data)\s*=\s*["'](?!data:|#|\.\./frame\.csv)[^"']*""", page
    )
    assert outside == []
    assert "@import" not in page
    assert "url(" not in page


def test_the_policy_names_its_own_style_and_script_alone(page):
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = html.unescape(policy)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        [text] = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_foreign_text_is_text(page, data):
    assert FOREIGN not in page
    assert html.escape(FOREIGN, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    _, run = run_of(data, FAILED)
    assert FOREIGN in run["detail"]
    assert run["log"] == f"{FOREIGN}\nthe last line"
    # As HTML reads it: the elements of this package and no other.
    assert len(re.findall(r"<script\b", page)) == len(re.findall(r"</script>", page)) == 2


@pytest.mark.parametrize("mark", ["<", ">", "&", "\u2028", "\u2029", "</script", "<!--"])
def test_no_mark_in_data_can_end_a_script(mark):
    text = as_script({"a": f"{mark}b"})
    assert mark not in text
    assert json.loads(text) == {"a": f"{mark}b"}


def test_data_without_a_number_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        as_script({"a": float("nan")})


def test_a_missing_name_of_a_template_is_an_error():
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


def test_every_cell_of_every_table_has_its_own_address(site, page, data):
    found = re.findall(r'data-cell="([^"]*)" data-address="([^"]*)"', page)
    assert len({place for _, place in found}) == len(found)
    assert ("supervised/cifar100/resnet18/mixup/dm_ce", "table1/cifar100/resnet18/mixup/dm_ce") in found
    # Tables in rows by setting, by method, and with settings as columns too.
    assert any(place.startswith("table7/") and "count=20" in place for _, place in found)
    shown = {
        site.grid.runs[run].cell for table in site.grid.tables.values() for run in site.grid.table_runs(table)
    }
    assert {cell for cell, _ in found} == shown
    stored = {(cell["name"], place["address"]) for cell in data["cells"] for place in cell["tables"]}
    assert stored == set(found)


def test_a_cell_has_its_mean_spread_and_published_number(new_site):
    site = new_site("full")
    cell = "supervised/cifar100/resnet18/mixup"
    for objective, scores in (("mce", (79.0, 79.5, 80.0)), ("dm_ce", (80.0, 81.0, 82.0))):
        for seed, score in enumerate(scores):
            site.finish(f"{cell}/{objective}/s{seed}", score, invented_history(np.random.default_rng(0), 3))
    site.finish(
        f"{cell.replace('mixup', 'cutmix')}/mce/s1", 70.0, invented_history(np.random.default_rng(0), 3)
    )
    with inside(site.path):
        shown = view(site.grid, "table1", site.path / "results/full/records", site.path / "reference")
    first = shown.heads[0][0]
    assert (first.parts, first.width) == (("CIFAR-100", "ResNet-18"), 2)
    assert [head.parts for head in shown.heads[1][:2]] == [("MCE",), ("DM(CE)",)]
    assert shown.starts[:3] == (True, False, True)
    lines = {line.left[0]: line.cells for line in shown.lines}
    mce, dm = lines["Mixup"][:2]
    assert (mce.mean, mce.std, mce.best, mce.note, mce.gain) == ("79.50", "0.50", True, "", "")
    assert (dm.mean, dm.std, dm.best) == ("81.00", "1.00", True)
    # Differences 1, 1.5, 2: mean 1.5, standard error 0.5 / sqrt(3), t of 2 degrees of freedom 4.302653.
    assert dm.gain == "+1.50, 95 % interval +0.26 to +2.74, 3 pairs"
    assert ("79.12", "", "o") in [(n.text, n.std, n.letter) for n in mce.published]
    assert (lines["CutMix"][0].mean, lines["CutMix"][0].note) == ("70.00", "n = 1")
    vanilla = lines["Vanilla"][:2]
    assert (vanilla[0].mean, vanilla[0].address) == (GAP, "table1/cifar100/resnet18/vanilla/ce")
    assert (vanilla[1].mean, vanilla[1].address) == (GAP, "")
    assert shown.verdicts["one seed: no standard error"] >= 1


def test_the_address_leaves_the_task_out():
    assert (
        address("table1", "supervised/cifar100/resnet18/mixup/dm_ce")
        == "table1/cifar100/resnet18/mixup/dm_ce"
    )


def test_histories_are_those_of_the_files(site, data):
    name = "supervised/cifar100/resnet18/mixup/dm_ce/s0"
    _, run = run_of(data, name)
    unit, places = data["grids"][run["grid"]]
    names = data["columns"][run["columns"]]
    columns = dict(zip(names, unpack(run["history"], len(names), len(places)), strict=True))
    lines = (site.path / site.paths(name).history).read_text().splitlines()
    written = [dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]]
    assert (unit, places) == ("epoch", [row["epoch"] for row in written])
    assert columns["top1_model"] == [row["top1_model"] for row in written]
    assert columns["loss"] == pytest.approx([row["loss"] for row in written], abs=0.00051)
    assert run["primary"] == "top1_model"


def test_a_run_in_progress_has_its_curve(data):
    _, run = run_of(data, STOPPED)
    assert run["state"] == "stopped"
    assert data["grids"][run["grid"]] == ["epoch", [1, 2, 3, 4]]
    assert run["score"] == ""


def test_a_damaged_history_of_a_run_in_progress_is_told(new_site):
    site = new_site("smoke")
    name = next(iter(site.grid.runs))
    site.work(name, "checkpoint.pt", "")
    site.work(name, "history.csv", "epoch,step,loss\n1,20,much\n")
    _, run = run_of(data_of(site.render()), name)
    assert (run["state"], run["grid"]) == ("stopped", -1)
    assert "no curve: " in run["detail"]
    assert "history.csv:2" in run["detail"]


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((2, 2), [(2, 2)]),
        ((9, 9, 9), [(9, 9), (9,)]),
        ((10, 9, 9), [(10,), (9, 9)]),
        ((2, 40, 1), [(2,), (18,), (18,), (4, 1)]),
        ((18,), [(18,)]),
        ((19,), [(18,), (1,)]),
    ],
)
def test_a_wide_table_is_cut_between_groups_of_columns(widths, expected):
    """No column is lost or doubled, and each part has the titles of its own columns."""
    columns = sum(widths)
    heads = tuple(Head((f"group {index}",), width) for index, width in enumerate(widths))
    cells = tuple(Cell("", "", str(index), "", "", False, (), "") for index in range(columns))
    starts = tuple(index == 0 for width in widths for index in range(width))
    last = tuple(Head((str(index),), 1) for index in range(columns))
    line = Line(("row",), "", cells)
    whole = View("t", "1", "T", (), ("Policy",), (heads, last), starts, (line,), (), (), {})
    parts = whole.parts()
    assert [tuple(head.width for head in part.heads[0]) for part in parts] == expected
    assert [cell.mean for part in parts for cell in part.lines[0].cells] == [str(i) for i in range(columns)]
    assert [head.parts[0] for part in parts for head in part.heads[1]] == [str(i) for i in range(columns)]
    assert [start for part in parts for start in part.starts] == list(starts)
    for part in parts:
        over = [head.parts[0] for head in part.heads[0] for _ in range(head.width)]
        group = [f"group {index}" for index, width in enumerate(widths) for _ in range(width)]
        assert over == [group[int(cell.mean)] for cell in part.lines[0].cells]


def test_what_is_under_way_is_listed(page, data):
    _, run = run_of(data, RUNNING)
    assert run["state"] == "running"
    assert run["detail"] == "step 12 of 168, loss 2.500, about 2 hours left, on vm"
    shown = page.partition("Under way</h3>")[2]
    shown = shown[: shown.index("</ul>")]
    assert f'<a href="#run/{RUNNING}">' in shown
    assert f'<a href="#run/{STOPPED}">' in shown
    assert "about 2 hours left" in shown


def test_a_record_that_is_not_the_runs_has_no_number(data, page):
    _, run = run_of(data, INVALID)
    assert (run["state"], run["score"], run["grid"]) == ("invalid", "", -1)
    assert "seed is 77, the grid's is 0" in run["detail"]
    assert f"<code>{INVALID}</code>" in page


def test_settings_are_those_of_dmix_resolve(site, data):
    name = "transfer/co_tuning/cub/resnet18/mixup/dm_ce/percent=15/s1"
    name = (
        name
        if name in site.grid.runs
        else next(n for n in site.grid.runs if "co_tuning" in n and "dm_ce" in n)
    )
    cell, _ = run_of(data, name)
    shown = [data["settings"][index] for part in cell["sections"] for index in data["sections"][part]]
    with inside(site.path):
        expected = list(told(site.grid, name))
    assert [(key, where, why) for key, _, where, why in shown] == [(s.key, s.where, s.why) for s in expected]
    assert any(where.startswith("params/transfer.yaml:") for _, _, where, _ in shown)
    assert [text for key, text, *_ in shown if key == "recipe.mean"] == ["[0.485,0.456,0.406]"]


def test_failures_come_first_with_reason_and_log(page):
    before, _, after = page.partition("Failures</h3>")
    assert FAILED not in before
    shown = after[: after.index("</ul>")]
    assert "<p>ValueError: " in shown
    assert "log: <code>work/log.txt</code>" in shown


def test_figures_that_are_not_drawn_are_listed(site, page):
    assert len(site.grid.figures) > 0
    for name in site.grid.figures:
        assert f"dmix figure {name} --tier embedded" in page
    assert "<img" not in page


def test_a_figure_is_shown_with_its_words(new_site):
    site = new_site("embedded")
    site.draw_figures(2)
    page = site.render()
    assert page.count('<img src="data:image/webp;base64,') == 2
    assert page.count('alt="Waves."') == 2
    assert "n = 3." in page
    assert FOREIGN not in page


def test_a_figure_without_words_is_refused(new_site):
    site = new_site("embedded")
    site.draw_figures(2)
    name = next(iter(site.grid.figures))
    (site.path / "paper_tables/embedded" / f"{name}.json").write_text("{}")
    with pytest.raises(DmixError, match=f"{name}.json has no"):
        site.render()


@pytest.fixture
def photograph(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (35, 90, 3), dtype=np.uint8)
    path = tmp_path / "photograph.png"
    Image.fromarray(noise).resize((1800, 700), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def drawing(tmp_path):
    path = tmp_path / "drawing.png"
    Image.new("RGBA", (900, 300), (0, 0, 0, 0)).save(path)
    return path


def test_each_attempt_is_smaller(photograph):
    sizes = [len(small(photograph, attempt).content) for attempt in range(len(ATTEMPTS))]
    assert sizes == sorted(sizes, reverse=True)
    last = small(photograph, len(ATTEMPTS) - 1)
    assert last.width / last.height == pytest.approx(1800 / 700, rel=0.01)


def test_pictures_share_a_limit_and_the_largest_gives_way(photograph, drawing):
    alone = [small(path, 0) for path in (photograph, drawing)]
    assert together([photograph, drawing], sum(len(each.content) for each in alone)) == alone
    less = together([photograph, drawing], len(alone[1].content) + len(small(photograph, 2).content))
    assert less == [small(photograph, 2), alone[1]]


def test_a_limit_that_cannot_be_kept_gives_the_smallest(photograph):
    assert together([photograph], 1) == [small(photograph, len(ATTEMPTS) - 1)]


def test_a_transparent_picture_gets_a_white_ground(drawing, tmp_path):
    picture = small(drawing, 0)
    assert (picture.width, picture.height) == (900, 300)
    (tmp_path / "small.webp").write_bytes(picture.content)
    with Image.open(tmp_path / "small.webp") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_nothing_trained_yet(new_site):
    page = new_site("smoke").render()
    assert "0 <span>of " in page
    assert "NaN" not in page


@pytest.mark.slow
def test_sixteen_hundred_runs_of_a_hundred_rows_and_all_figures(new_site):
    site = new_site("full")
    rng = np.random.default_rng(0)
    histories = [invented_history(rng, ROWS + 50, terms=2 + 3 * (index % 9 > 6)) for index in range(60)]
    for index, name in enumerate(site.grid.places):
        site.finish(name, round(80 * rng.random(), 2), histories[index % len(histories)])
    site.draw_figures()
    with inside(site.path):
        page = site.render()
    data = data_of(page)
    runs = len(data["runs"]["seed"])
    assert runs == len(site.grid.runs) > 1500
    assert set(data["runs"]["state"]) == {"done"}
    assert all(len(places) >= ROWS - 1 for _, places in data["grids"])
    assert len(data["grids"]) == 1
    assert page.count("data:image/webp") == len(site.grid.figures) >= 16
    assert len(page.encode()) * 1600 / runs < MOST_PAGE_BYTES


def test_the_digest_follows_the_parameter_files_and_what_is_shown(new_site, monkeypatch):
    site = new_site("embedded")
    with inside(site.path):
        first = page_digest(site.grid)
        assert page_digest(site.grid) == first
        moved = {**site.grid.folders, next(iter(site.grid.folders)): "another-00000000-00000000"}
        monkeypatch.setitem(vars(site.grid), "folders", moved)
        assert page_digest(site.grid) != first
        monkeypatch.undo()
        file = site.path / "params/tables/table1.yaml"
        file.write_text(f"# one line more\n{file.read_text()}")
        assert page_digest(site.grid) != first
