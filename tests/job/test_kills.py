"""A few of the kills of tests/kill_runs.py: between operations on files, and at random moments."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from project import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "only",
    ["cifar100/resnet18/puzzlemix/dm_ce", "self_tuning/cub/resnet50/mixup/dm_ce/", "semi/supervised_only"],
)
def test_killed_runs_go_on_and_end_as_if_they_had_not_been(only):
    command = (sys.executable, "tests/kill_runs.py", "--kills", "5", "--only", only)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"(?m)^5 kills of 1 jobs, 0 wrong$", done.stdout)
