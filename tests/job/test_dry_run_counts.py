"""A quiet dry run says how many jobs each rule has."""

from __future__ import annotations

import logging

import pytest
from snakemake.logging import DefaultFilter, DefaultFormatter, LogEvent
from snakemake.settings.enums import Quietness

from dmix.job.dry_run_counts import HINT, DryRunCounts

STATS = "Job stats:\njob      count\ntrain        3\n"


@pytest.mark.parametrize(
    ("dry", "quiet", "expected"),
    [
        (True, {Quietness.RULES, Quietness.PROGRESS}, f"{STATS.rstrip()}\n\n{HINT}"),
        (True, {Quietness.RULES}, STATS),
        (True, set(), STATS),
        (False, {Quietness.RULES, Quietness.PROGRESS}, None),
        (False, {Quietness.RULES}, STATS),
    ],
)
def test_counts_are_shown_as_asked_for(dry, quiet, expected):
    shown = DefaultFilter(quiet, False, False, dry, False)
    counts = DryRunCounts(lambda: dry and Quietness.PROGRESS in quiet)
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, STATS, (), None)
    record.event = LogEvent.RUN_INFO
    text = DefaultFormatter(quiet).format(record) if counts.filter(record) and shown.filter(record) else None
    assert text == expected


def test_other_records_are_left_as_they_are():
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "1 of 3 steps", (), None)
    record.event = LogEvent.PROGRESS
    before = dict(vars(record))
    assert DryRunCounts(lambda: True).filter(record)
    assert vars(record) == before
