"""Every table and figure has one place in the document, also those of strangers."""

from dmix.paper.sections import FURTHER, SECTIONS, arranged
from project import real_grid


def test_sections_name_tables_that_exist():
    for section in SECTIONS:
        assert set(section.tables) <= set(real_grid("full").params.tables), section.title


def test_sections_name_figures_that_exist():
    params = real_grid("full").params
    for section in SECTIONS:
        for figure in section.figures:
            assert any(name == figure or name.startswith(f"{figure}_") for name in params.figures), figure


def test_everything_has_one_place():
    params = real_grid("full").params
    found = arranged([*params.tables, "mine"], [*params.figures, "figure2_mine", "figure22"])
    tables = [name for section in found for name in section.tables]
    figures = [name for section in found for name in section.figures]
    assert sorted(tables) == sorted([*params.tables, "mine"])
    assert sorted(figures) == sorted([*params.figures, "figure2_mine", "figure22"])
    assert found[-1].title == FURTHER.title
    assert "mine" in found[-1].tables
    assert "figure22" in found[-1].figures
    assert "figure2_mine" in found[0].figures


def test_an_empty_section_is_left_out_and_order_is_kept():
    (only,) = arranged(["table8", "table6"], [])
    assert only.tables == ("table8", "table6")
    assert only.title == next(section.title for section in SECTIONS if "table6" in section.tables)
