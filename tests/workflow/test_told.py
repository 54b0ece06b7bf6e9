"""A run that fails in a workflow is told once, by name and reason, and tried as the profile says."""

from __future__ import annotations

from collections import Counter

import pytest

from project import Project

CELL = "supervised/cifar10/resnet18"
BROKEN, REFUSED = f"{CELL}/cutmix/mce/s0", f"{CELL}/vanilla/ce/s0"
PROFILE = ("snakemake", "--profile", "workflows/profiles/local", "--config", "tier=smoke")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def failing(tmp_path_factory, embedded_data) -> Project:
    """A project with a policy that raises an error, a batch that is too large, and a count of all tries."""
    project = Project.create(tmp_path_factory.mktemp("told") / "project", embedded_data)
    project.edit(
        "src/dmix/policies/cutmix.py", "        n, _, height", "        shapes_differ()\n        n, _, height"
    )
    rule = "{when: {policy: vanilla}, set: {recipe.batch_size: 5000}, why: test}"
    seconds = "    estimate_seconds: 2\n"
    project.edit("params.yaml", seconds, f"{seconds}    overrides: [{rule}]\n")
    project.edit(
        "src/dmix/job/train.py",
        "    device = choose_device(options.device, local_rank())\n    dataset",
        "    open('tries', 'a').write(spec.name + chr(10))\n"
        "    device = choose_device(options.device, local_rank())\n    dataset",
    )
    return project


def targets(project: Project) -> list[str]:
    return [f"results/smoke/records/{project.folder(name)}/record.json" for name in (BROKEN, REFUSED)]


@pytest.mark.parametrize(
    ("display", "most"),
    [
        ((), 3),
        # So SLURM's jobs are started, each with a Snakemake of its own, whose retries would be on top.
        (("--quiet", "rules", "--retries", "0"), 1),
        (("--logger", "rich", "--retries", "0"), 1),
    ],
)
def test_each_failure_is_told_once_and_tried_as_documented(failing: Project, display, most):
    (failing.path / "tries").unlink(missing_ok=True)
    done = failing.run(*PROFILE, *display, "--", *targets(failing))
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    tries = Counter((failing.path / "tries").read_text().split())
    assert tries == {BROKEN: most, REFUSED: 1}, output
    one_line = " ".join(output.split())  # rich wraps lines
    for name, reason in (
        (BROKEN, "NameError: name 'shapes_differ' is not defined"),
        (REFUSED, "batch_size is 5000"),
    ):
        assert one_line.count(f"{name} failed: ") == 1, output
        assert one_line.count(reason) == 1, output
    assert one_line.count("at src/dmix/policies/cutmix.py:") == 1, output
    for unwanted in ("--promise", "Traceback", "CalledProcessError"):
        assert unwanted not in output
