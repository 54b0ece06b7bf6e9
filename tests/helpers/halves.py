"""Two clones that train a half of a tier each, join and render, and a third that trains nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dvc_checkouts import clone, commit, dvc, files, git, output
from project import Project

PROFILE = ("--profile", "workflows/profiles/local", "--quiet", "rules")
HOURS = 3600.0
TASKS = ("supervised", "transfer", "semi")


def clones(first: Project, path: Path) -> tuple[Project, Project]:
    """Return a checkout and a clone of it."""
    return first, clone(first, path)


def trained(project: Project, tier: str = "smoke") -> set[str]:
    """The names of the runs that the checkout itself has trained: each leaves a log, as evaluations do."""
    work = project.path / "work" / tier
    logs = [log for task in TASKS for log in (work / task).rglob("log.txt")]
    return {re.sub(r"-\w{8}-\w{8}$", "", str(log.parent.relative_to(work))) for log in logs}


def train_half(project: Project, tier: str, datasets: Iterable[str]) -> None:
    """Train the runs on some data sets, and record them in dvc.lock."""
    output(project.dmix("plan", "--tier", tier, "--datasets", *datasets, "--save", "half"))
    selected = ("--config", f"tier={tier}", "select=half")
    output(project.run("snakemake", "runs", *PROFILE, *selected, timeout=24 * HOURS))
    dvc(project, "commit", "--force", f"train@{tier}")
    commit(project)


def join_and_render(first: Project, second: Project, place: Path, tier: str) -> None:
    """Share two halves through the store of both; check that all render the same and none trains again.

    Parameters
    ----------
    place: of a third clone, which has the records alone.
    """
    halves = trained(first, tier), trained(second, tier)
    assert all(halves)
    for project in (first, second):
        dvc(project, "push")

    # Both wrote dvc.lock: ours is kept, theirs are joined from the store, and both are recorded.
    git(first, "fetch", "--quiet", str(second.path), "HEAD")
    assert "dvc.lock" in first.run("git", "merge", "FETCH_HEAD").stdout
    git(first, "checkout", "--ours", "dvc.lock")
    said = output(first.dmix("join", ".", "--rev", "MERGE_HEAD", "--tier", tier))
    took = set(re.findall(r"(?m)^took (\S+)$", said))
    assert halves[1] - halves[0] <= took
    assert not halves[0] & took
    dvc(first, "repro")
    commit(first)
    dvc(first, "push")
    assert trained(first, tier) == halves[0]

    tables = files(first, f"paper_tables/{tier}")
    assert tables
    git(second, "pull", "--quiet", str(first.path), "HEAD")
    dvc(second, "pull")
    dvc(second, "repro")
    assert trained(second, tier) == halves[1]
    assert git(second, "status", "--porcelain") == ""
    assert files(second, f"paper_tables/{tier}") == tables

    # A third has the records alone, from the store: no data, no weights.
    third = clone(first, place)
    dvc(third, "pull", f"results/{tier}/records")
    output(third.snakemake("--quiet", "all", tier=tier, timeout=HOURS))
    rendered = files(third, f"paper_tables/{tier}")
    other = {name for name in rendered.keys() | tables.keys() if rendered.get(name) != tables.get(name)}
    assert {name.partition(".")[0] for name in other} == _of_weights(rendered)
    assert trained(third, tier) == set()
    assert not (third.path / "results" / tier / "weights").exists()


def _of_weights(rendered: Mapping[str, bytes]) -> set[str]:
    """Return the figures that say which weights they lack, and the document that has them."""
    lacking = {
        name.removesuffix(".json")
        for name, content in rendered.items()
        if name.endswith(".json") and b"are not here" in content
    }
    document = {name.partition(".")[0] for name in ("main.tex", "paper.pdf") if name in rendered}
    return lacking | document if lacking else set()
