"""The page in a real browser: it opens from a file, by mouse and by keys, at two widths, light and dark."""

import shutil

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from dmix.page.packing import pack, unpack
from page.conftest import FAILED, FOREIGN, STOPPED, invented_history

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: apt-get install --no-install-recommends chromium"
    ),
]

WIDTHS = (1280, 390)
CELL = "table1/cifar100/resnet18/mixup/dm_ce"
OTHER = "table1/cifar100/resnet18/mixup/mce"


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, site):
    """A function that opens the page; at the end, there was no request but the file's, and no error."""
    requests, errors, windows = [], [], []

    def opener(width=1280, address="", **options):
        window = chromium.new_page(viewport={"width": width, "height": 800}, **options)
        window.on("request", lambda request: requests.append(request.url))
        window.on("pageerror", lambda error: errors.append(str(error)))
        window.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
        window.goto(f"{site.page.as_uri()}{address and '#'}{address}")
        windows.append(window)
        return window

    yield opener
    for window in windows:
        assert window.evaluate("window.pwned") is None
        window.close()
    # Pictures inside of the page are no requests, though the browser tells of them.
    assert {url.partition("#")[0] for url in requests if not url.startswith("data:")} == {site.page.as_uri()}
    assert errors == []


def focused(window):
    return window.evaluate("document.activeElement.dataset.address || document.activeElement.id")


def no_scroll(window):
    return window.evaluate("document.documentElement.scrollWidth === innerWidth")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_opens_its_curves(open_page, width):
    window = open_page(width)
    window.locator(f"button[data-address='{CELL}']").click()
    panel = window.locator("#panel")
    expect(panel.locator("h2")).to_contain_text("Mixup · DM(CE)")
    # One strong line, and a thin one for each seed.
    assert panel.locator("svg path.mean").count() == 1
    assert panel.locator("svg path.seed").count() == 2
    assert panel.locator("svg path.band").count() == 1
    assert window.evaluate("location.hash") == f"#{CELL}"
    assert no_scroll(window)
    box = panel.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    panel.locator("button.close").click()
    expect(panel).to_be_hidden()
    assert window.evaluate("location.hash") == ""
    assert focused(window) == CELL


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("address", ["", "table7", CELL, f"run/{STOPPED}"])
def test_no_horizontal_scroll(open_page, width, address):
    assert no_scroll(open_page(width, address))


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_alone_suffice(open_page, width):
    window = open_page(width)
    window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.className") == "skip"
    for _ in range(200):
        window.keyboard.press("Tab")
        if focused(window).startswith("table1/"):
            break
    assert focused(window) == "table1/cifar100/resnet18/vanilla/ce"
    window.keyboard.press("ArrowDown")
    window.keyboard.press("ArrowRight")
    assert focused(window) == CELL
    window.keyboard.press("Enter")
    panel = window.locator("#panel")
    expect(panel.locator("svg path.mean")).to_have_count(1)
    assert focused(window) == "panel-title"
    for _ in range(3):  # close, choice, cursor
        window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.type") == "range"
    last = panel.locator("output").text_content()
    window.keyboard.press("ArrowLeft")
    expect(panel.locator("output")).not_to_have_text(last)
    window.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert focused(window) == CELL


def test_arrows_move_in_the_list(open_page):
    window = open_page(address="runs")
    first, second = window.locator("#list button").nth(0), window.locator("#list button").nth(1)
    window.locator("#state").focus()
    window.keyboard.press("Tab")
    expect(first).to_be_focused()
    window.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    window.keyboard.press("Home")
    expect(first).to_be_focused()
    window.keyboard.press("End")
    expect(window.locator("#list button").last).to_be_focused()
    window.keyboard.press("Enter")
    expect(window.locator("#panel-title")).to_be_focused()


def test_typing_hides_lines_of_the_list(open_page, site):
    window = open_page(address="runs")
    cells = {spec.cell for spec in site.grid.runs.values()}
    assert window.locator("#list li").count() == len(cells)
    window.locator("#find").fill("CUTMIX cifar100")
    wanted = sum("cutmix" in cell and "cifar100" in cell for cell in cells)
    expect(window.locator("#found")).to_have_text(f"{wanted} of {len(cells)} cells")
    assert window.locator("#list li:visible").count() == wanted > 0
    window.locator("#find").fill("")
    window.locator("#state").select_option("failed")
    expect(window.locator("#found")).to_have_text(f"1 of {len(cells)} cells")


def test_an_address_opens_what_it_names(open_page):
    window = open_page(address=f"run/{FAILED}")
    panel = window.locator("#panel")
    expect(panel.locator("details.run[open] summary")).to_contain_text("failed")
    expect(panel.locator("details.run[open] dd").first).to_contain_text(f"ValueError: {FOREIGN}")
    expect(panel.locator("details.run[open] pre")).to_have_text(f"{FOREIGN}\nthe last line")
    window.go_back()
    window.goto(f"{window.url.partition('#')[0]}#no/such/cell")
    expect(panel).to_be_hidden()


def test_kept_curves_are_in_the_address(open_page):
    window = open_page(address=OTHER)
    panel = window.locator("#panel")
    panel.get_by_label("Keep these curves").check()
    window.locator(f"button[data-address='{CELL}']").click()
    expect(panel.locator(".legend .label")).to_have_text(["MCE", "DM(CE)"])
    assert panel.locator("svg path.mean").count() == 2
    assert window.evaluate("decodeURIComponent(location.hash)") == f"#{OTHER}&{CELL}"
    again = open_page(address=f"{OTHER}&{CELL}")
    expect(again.locator("#panel .legend .label")).to_have_text(["MCE", "DM(CE)"])


def test_values_settings_and_provenance(open_page):
    panel = open_page(address=CELL).locator("#panel")
    panel.get_by_text("Values", exact=True).click()
    assert panel.locator("details:has-text('Values') tbody tr").count() >= 6
    panel.get_by_text("Settings, each with the line").click()
    row = panel.locator(".settings tr", has_text="policy.alpha")
    expect(row).to_contain_text("params.yaml:")
    panel.get_by_text("Seed 0", exact=True).click()
    run = panel.locator("details.run[open]")
    expect(run).to_contain_text("0" * 40)
    expect(run).to_contain_text("2000-01-01 00:00 to 2000-01-01 01:00")


def test_numbers_are_decoded_as_python_encoded_them(open_page):
    columns = [
        ([79.12, None, 0.0, 100.0, 33.33], 2),
        ([2.302, 1.5, None, 0.001, 12.7], 3),
        ([-1.0, 1e9, None, None, 5.0], 0),
        ([1e30, -2e30, 3e30, None, 0.0], -27),
        ([1e-6, 2e-6, 3.3e-6, 9.999e-6, 0.0], 9),
        ([None] * 5, 4),
    ]
    text = pack(columns)
    window = open_page()
    found = window.evaluate("([text, columns, rows]) => decode(text, columns, rows)", [text, len(columns), 5])
    assert found == unpack(text, len(columns), 5)
    assert found[0] == columns[0][0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("address", "part"), [("", "html"), (f"{OTHER}&{CELL}", "#panel"), (f"run/{FAILED}", "#panel")]
)
def test_accessible(open_page, width, scheme, address, part):
    window = open_page(width, address, color_scheme=scheme)
    for details in window.locator("#panel details").all():
        details.evaluate("each => { each.open = true; }")
    found = Axe().run(window, context=part)
    assert found.response["passes"]
    assert found.violations_count == 0, found.generate_report()


def test_dark_is_dark(open_page):
    def brightness(scheme):
        window = open_page(color_scheme=scheme)
        colour = window.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    assert brightness("dark") < 150 < 700 < brightness("light")


def last_ends(tables):
    """Return how far to the right tables reach, in CSS pixels."""
    assert tables.count() > 0
    return tables.evaluate_all("(tables) => tables.map((table) => table.getBoundingClientRect().right)")


def test_in_print_tables_are_whole(open_page):
    window = open_page(width=718)  # A4 upright with margins of 1 cm, in CSS pixels
    window.emulate_media(media="print")
    assert max(last_ends(window.locator("table"))) <= 718
    expect(window.locator("nav")).to_be_hidden()
    expect(window.locator("#runs")).to_be_hidden()
    expect(window.locator("#table1 .results")).to_be_visible()


def test_in_print_wide_tables_are_whole_across(chromium, new_site):
    site = new_site("full")  # the other tiers leave out what makes tables wide
    rng = np.random.default_rng(0)
    history = invented_history(rng, 3)
    for name in site.grid.runs:
        site.finish(name, round(50 + 40 * rng.random(), 2), history)
    site.render()
    window = chromium.new_page()
    window.goto(site.page.as_uri())
    window.emulate_media(media="print")
    for chosen, width in (("article.wide table", 1047), ("table:not(.wide *)", 718)):  # A4 across, upright
        window.set_viewport_size({"width": width, "height": 800})
        assert max(last_ends(window.locator(chosen))) <= width
    window.close()


def test_without_scripts_tables_are_there(open_page):
    window = open_page(java_script_enabled=False)
    expect(window.locator("noscript p")).to_contain_text("frame.csv")
    expect(window.locator("#table1 .results")).to_be_visible()
    expect(window.locator("#runs")).to_be_hidden()
