"""The profile slurm starts and submits, as far as that shows without a SLURM."""

from __future__ import annotations

from pathlib import Path

import pytest

from project import Project

REFUSAL = "sbatch: error: invalid partition specified: nowhere"
SBATCH = f"""\
#!/bin/sh
echo "$@" >>"$SUBMITTED"
echo "{REFUSAL}" >&2
exit 1
"""


@pytest.mark.slow
def test_the_workflow_starts_and_tells_sbatchs_refusal_once(tmp_path: Path, embedded_data: Path):
    project = Project.create(tmp_path / "project", embedded_data)
    programs, submitted = tmp_path / "programs", tmp_path / "submitted"
    programs.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sinfo"):
        (programs / name).write_text(SBATCH if name == "sbatch" else "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{project.environment['PATH']}"
    done = project.run(
        "env", f"PATH={path}", f"SUBMITTED={submitted}", "snakemake", "runs",
        "--profile", "workflows/profiles/slurm", "--config", "tier=smoke",
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert told.count("invalid partition specified: nowhere") == 1, told
    assert "slurm_partition" in told
    assert len(submitted.read_text().splitlines()) == 1
