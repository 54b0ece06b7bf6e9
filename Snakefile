# Entry point of the workflow. params.yaml and params/ say what runs and with which settings,
# workflows/profiles where and how many at a time.
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake.utils import min_version

from dmix.claims.load import load_claims
from dmix.environment import settle
from dmix.errors import DmixError
from dmix.evaluation_record import is_of_record
from dmix.grid.artefact import digests
from dmix.grid.evaluation import (
    evaluation_digest,
    product_of,
    runs_of,
    shown_evaluations,
)
from dmix.grid.earlier import move_earlier
from dmix.grid.expand import folder as folder_of
from dmix.grid.expand import load_grid
from dmix.grid.finished import refuse_damaged
from dmix.grid.kept_meanings import kept_meanings
from dmix.grid.kinds import kinds
from dmix.grid.needs import cores, memory_mb, minutes
from dmix.grid.order import ranks
from dmix.grid.packing import read_server
from dmix.grid.paths import WORK, records_folder
from dmix.grid.promise import promise
from dmix.grid.select import selected
from dmix.grid.sharing import Processes
from dmix.grid.spec import digest_of
from dmix.grid.status import blocked_runs
from dmix.job.driver import announce
from dmix.job.dry_run_counts import DryRunCounts
from dmix.job.finished_lines import FinishedLines
from dmix.job.signed import signed
from dmix.job.workflow_log import ShortFailures
from dmix.page.digest import page_digest
from dmix.paper.digest import paper_digest
from dmix.paper.typeset import latex_is_here
from dmix.slurm.gres import Gres

min_version("9.0")

settle()
# Jobs call dmix and torchrun by name, also where nobody has activated this environment.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
)


def tell(line):
    print(f"dmix: {line}", file=sys.stderr, flush=True)


# Jobs on a cluster read this file too. They train and evaluate; what is rendered runs beside the driver, and so they
# are spared its rules and the digests of ten thousand runs.
MAIN = workflow.is_main_process
TIER = config.get("tier", "embedded")
# The name of a selection that dmix plan saved: only its runs are trained, and tables, figures and claims are made
# of these and of those that have a record already.
SELECTION = config.get("select", "")
try:
    if MAIN:
        announce(tell)
        move_earlier(TIER, tell)
    GRID = load_grid(TIER, thorough=MAIN)
    if SELECTION:
        GRID = GRID.restricted(selected(GRID, SELECTION))
    # The workflow takes a run with a record for done.
    if MAIN:
        # A claim on what is not there any more is told before anything trains.
        load_claims(GRID.params)
        WANTED = GRID.runs if GRID.only is None else GRID.only
        WHOSE = f"selection {SELECTION}" if SELECTION else f"tier {TIER}"
        refuse_damaged(GRID)
        for way_out, count in blocked_runs(GRID).most_common():
            tell(f"blocked: {count} of {len(WANTED)} runs of {WHOSE}: {way_out}")
except DmixError as error:
    raise WorkflowError(str(error)) from None

RUNS = records_folder(TIER)
BUILD = f"results/{TIER}/build"
PUBLISHED = f"{BUILD}/published"

# A failed run is told by its name and reason, once, also where output is quiet.
logger.addFilter(ShortFailures(WORK / TIER))
# A finished one by its name and score.
logger.addFilter(FinishedLines(logger.info, Quietness.RULES))
# snakemake -n --quiet: the number of jobs of each rule.
logger.addFilter(
    DryRunCounts(
        lambda: workflow.dryrun
        and Quietness.PROGRESS in (workflow.output_settings.quiet or ())
    )
)


report: "workflows/report/workflow.rst"


# All that a tier is rendered into lies below names with the digests of what it depends on.
if MAIN:
    DIGESTS = digests(GRID)
    FRAME, FIGURES, TABLES = DIGESTS.frame, DIGESTS.figures, DIGESTS.tables
    SETTINGS, LEDGER, CLAIMS = DIGESTS.settings, DIGESTS.ledger, DIGESTS.claims
    NUMBERS = digest_of(TABLES)
    SUMMARY = DIGESTS.summary
    PAGE = page_digest(GRID, DIGESTS)
    LATEX = latex_is_here()
    PAPER = paper_digest(GRID, LATEX, DIGESTS)
    PAPER_FILES = ["main.tex", *(["paper.pdf"] if LATEX else [])]
    # All code is read by now: jobs need not read it again.
    kept_meanings().keep()

    rule all:
        input:
            f"results/{TIER}/frame.csv",
            f"{PUBLISHED}/frame-{FRAME}",
            [
                f"{PUBLISHED}/{table}-{digest}"
                for table, digest in (TABLES | SETTINGS).items()
            ],
            [f"paper_tables/{TIER}/{table}.tex" for table in TABLES | SETTINGS],
            f"{PUBLISHED}/numbers-{NUMBERS}",
            f"{PUBLISHED}/ledger-{LEDGER}",
            f"{PUBLISHED}/claims-{CLAIMS}",
            [
                f"paper_tables/{TIER}/{file}.tex"
                for file in ("numbers", "ledger", "claims")
            ],
            [f"{PUBLISHED}/{figure}-{digest}" for figure, digest in FIGURES.items()],
            [f"paper_tables/{TIER}/{figure}.pdf" for figure in FIGURES],
            f"{PUBLISHED}/page-{PAGE}",
            f"results/{TIER}/report/index.html",
            f"{PUBLISHED}/paper-{PAPER}",
            [f"paper_tables/{TIER}/{file}" for file in PAPER_FILES],


include: "workflows/rules/devices.smk"
include: "workflows/rules/train.smk"
include: "workflows/rules/relate.smk"
include: "workflows/rules/evaluate.smk"


if MAIN:

    include: "workflows/rules/start.smk"
    include: "workflows/rules/collect.smk"
    include: "workflows/rules/tables.smk"
    include: "workflows/rules/figures.smk"
    include: "workflows/rules/claims.smk"
    include: "workflows/rules/page.smk"
    include: "workflows/rules/paper.smk"
    include: "workflows/rules/store.smk"
