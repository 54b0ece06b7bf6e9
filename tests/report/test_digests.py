"""The digests of a tier that are computed together are those that are computed one by one."""

from __future__ import annotations

import pytest

from dmix.grid import artefact
from dmix.page.digest import page_digest
from dmix.paper.digest import paper_digest
from project import ROOT, real_grid


def test_digests_together_are_those_of_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    grid, asked = real_grid("smoke"), []
    frame_digest = artefact.frame_digest
    monkeypatch.setattr(artefact, "frame_digest", lambda grid: asked.append(1) or frame_digest(grid))
    found = artefact.digests(grid)
    pages = page_digest(grid, found), paper_digest(grid, False, found)
    assert asked == [1]
    assert found.frame == frame_digest(grid)
    assert found.tables == {name: artefact.table_digest(grid, name) for name in grid.tables}
    assert found.settings == {name: artefact.settings_digest(grid, name) for name in grid.settings_tables}
    assert found.figures == {name: artefact.figure_digest(grid, name) for name in grid.figures}
    assert (found.ledger, found.claims) == (artefact.ledger_digest(grid), artefact.claims_digest(grid))
    assert pages == (page_digest(grid), paper_digest(grid, False))
