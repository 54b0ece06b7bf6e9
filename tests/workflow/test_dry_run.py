"""A quiet dry run counts the jobs of each rule and tells none; a run asks for few functions of a rule."""

from __future__ import annotations

import re

from dry_runs import dry_run
from project import Project


def test_a_quiet_dry_run_counts_and_tells_no_job(project: Project):
    planned = project.planned()
    options = ("-n", "--quiet", "--profile", "workflows/profiles/local", "--config", "tier=smoke")
    done = dry_run(project.path, project.environment, *options)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert re.findall(r"(?m)^train +(\d+)$", text) == [str(len(planned))]
    assert "dmix plan --why" in text
    assert not re.search(r"(?m)^Job \d+: ", text)
