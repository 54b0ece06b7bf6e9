"""What sbatch says decides between trying later, giving one job up, and stopping the workflow."""

from __future__ import annotations

import pytest

from dmix.slurm.refusal import meaning, words_of

BATCH = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Unable to contact slurm controller (connect failure)", "later"),
        ("Socket timed out on send/recv operation", "later"),
        ("Slurm temporarily unable to accept job, sleeping and retrying", "later"),
        ("QOSMaxSubmitJobPerUserLimit; Job violates accounting/QOS policy (job submit limit)", "later"),
        ("invalid partition specified: gpu; Invalid partition name specified", "every job"),
        ("Invalid account or account/partition combination specified", "every job"),
        ("Invalid qos specification", "every job"),
        ("User's group not permitted to use this partition", "every job"),
        ("The given account x appears to be invalid. Available accounts:\ny", "every job"),
        ("Requested node configuration is not available", "this job"),
        ("Memory specification can not be satisfied", "this job"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "this job"),
        ("Invalid generic resource (gres) specification", "this job"),
    ],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_known_words(words: str, expected: str, accepted: bool):
    assert meaning(words, accepted) == expected


def test_words_of_a_site_stop_the_workflow_only_where_no_job_was_taken_yet():
    assert meaning("please name a project", accepted=False) == "every job"
    assert meaning("please name a project", accepted=True) == "this job"


def test_the_words_are_taken_out_of_the_plugins_messages():
    said = f"sbatch: error: invalid partition specified: gpu\n{BATCH}Invalid partition name specified"
    message = f"SLURM sbatch failed. The error message was '{said}'.\n    sbatch call:\n        sbatch 'x'.\n"
    assert words_of(message) == (
        "invalid partition specified: gpu; Batch job submission failed: Invalid partition name specified"
    )
    assert words_of("Job submission failed with exception: account x is invalid") == "account x is invalid"
    assert words_of("SLURM sbatch failed. The error message was ''.\n    sbatch call") == (
        "sbatch failed without a word"
    )


@pytest.mark.parametrize("message", [None, "", "SLURM-job '3' failed, SLURM status is: 'FAILED'."])
def test_other_messages_are_no_refusal(message: str | None):
    assert words_of(message) == ""
