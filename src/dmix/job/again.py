"""Evaluates the weights of a finished run again, as its recipe says, and compares with its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from dmix.engine.device import choose_device
from dmix.engine.score import scores
from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.code import code_digest
from dmix.grid.history import ACCURACY, accuracies, read_rows
from dmix.grid.rebuilt import rebuilt
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.accuracies import Accuracy
from dmix.job.accuracies import accuracies as measure
from dmix.job.evaluate import data_of
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
from dmix.job.restored import restored
from dmix.job.run_files import RunFiles, history_of, record_of, weights_of
from dmix.job.say import say
from dmix.record import Record

CPU = "cpu"
TOLERANCE = 0.1
"""Largest difference where a GPU was used then or is now, in percent of the test images; one image at least.

It adds in another order, so that images whose two best classes are nearly equal may change sides.
"""


def again(files: RunFiles, options: Options) -> int:
    """Evaluate a run again, print each accuracy beside the recorded one, and return 0; or 1 if one differs.

    The network is built by the settings in the record. On the CPU, the accuracies of a run that was trained
    on one have to be equal bit for bit; where either is of a GPU, to `TOLERANCE`.

    Raises
    ------
    DmixError: a file of the run is missing or damaged, its data are not here or others, or a part is not.
    """
    record = record_of(files)
    spec, weights = rebuilt(record.name, record.spec), weights_of(files, record)
    has_history = history_of(files, record)
    facts.note()
    with placed(options, record.name) as here:
        device = choose_device(here.device)
        dataset = data_of(spec, record)
        trainer = restored(spec, dataset, device, read_options(here, device), weights)
        found = measure(trainer.method, trainer.test)
    images = next(iter(found.values())).images
    say(f"{record.name}: {images} test images of {dataset.name} ({dataset.edition}), on {device.type}")
    compared = list(_compared(record, trainer, found, device))
    for line in _table(compared):
        say(f"  {line}")
    wrong = [*_inconsistent(record, files, spec)] if has_history else []
    chosen = f"{spec.settings['recipe']['score']} of {len(record.evaluations)} evaluations"
    beside = "as history.csv has it" if has_history else f"{files.history} is not there to compare it with"
    say(f"  score {record.score:.2f} ({chosen}){'' if wrong else f', {beside}'}")
    for line in wrong:
        say(f"  {line}")
    if not wrong and not any(one.differs for one in compared):
        return 0
    for line in _circumstances(record, spec, device):
        say(f"  {line}")
    return 1


@dataclass(frozen=True)
class _Compared:
    """One prediction: its accuracy here, and what is to be said of the recorded one."""

    name: str
    recorded: float | None
    here: Accuracy
    verdict: str
    differs: bool


def _compared(
    record: Record, trainer: Trainer, found: Mapping[str, Accuracy], device: torch.device
) -> Iterator[_Compared]:
    """Yield the comparison of each prediction; first those of the record, in its order."""
    same_device = record.hardware.device == CPU and device.type == CPU
    # Recipes that count steps may train on after the last evaluation.
    later = trainer.total - record.evaluations[-1] if trainer.recipe["steps"] else 0
    for name in dict.fromkeys((*record.scores, *found)):
        if name not in found:
            raise DmixError(
                f"{record.name}: the network has no prediction {name!r}, which its record has",
                "use the code that trained it: the record states git_commit",
                exit_code=1,
            )
        here, recorded = found[name], record.scores.get(name)
        if recorded is None:
            yield _Compared(name, None, here, "not in the record", True)
            continue
        images = abs(here.first - round(recorded.last * here.images / 100))
        allowed = max(1.0, TOLERANCE / 100 * here.images)
        if later:
            verdict, differs = f"not compared: the recorded one is of {later} steps before", False
        elif recorded.last == here.top1:
            verdict, differs = "equal bit for bit", False
        elif same_device or images > allowed:
            verdict, differs = f"DIFFERS by {images or 'less than one'} images", True
        else:
            verdict, differs = f"differs by {images} images, of {allowed:.0f} that a GPU may move", False
        yield _Compared(name, recorded.last, here, verdict, differs)


def _table(compared: list[_Compared]) -> Iterator[str]:
    width = max(len("prediction"), *(len(one.name) for one in compared))
    yield f"{'prediction':<{width}}  recorded    here   top-5"
    for one in compared:
        recorded = "-" if one.recorded is None else f"{one.recorded:.2f}"
        yield f"{one.name:<{width}}  {recorded:>8}  {one.here.top1:6.2f}  {one.here.top5:6.2f}  {one.verdict}"


def _inconsistent(record: Record, files: RunFiles, spec: RunSpec) -> Iterator[str]:
    """Yield each score of the record that does not follow from the history."""
    rows, recipe = read_rows(files.history), spec.settings["recipe"]
    by_name = {
        column.removeprefix(ACCURACY): scores([row[column] for row in rows if column in row], recipe)
        for column in accuracies(rows)
    }
    for name in dict.fromkeys((*record.scores, *by_name)):
        stated, derived = record.scores.get(name), by_name.get(name)
        if stated != derived:
            yield f"DIFFERS: scores.{name}: {stated} in {files.record.name}, {derived} by history.csv"
    primary = by_name.get(record.primary)
    if primary is not None and record.score != (derived := getattr(primary, recipe["score"])):
        yield f"DIFFERS: score: {record.score} in {files.record.name}, {derived} by history.csv"


def _circumstances(record: Record, spec: RunSpec, device: torch.device) -> Iterator[str]:
    """Yield what is another here than when the run was trained, which may be the reason for a difference."""
    own, versions = facts.hardware(device), facts.versions()
    yield from (
        f"{what}: {then} then, {now} here"
        for what, then, now in (
            ("code", record.code_digest, code_digest(spec)),
            ("device", record.hardware.device, own.device),
            ("processor", record.hardware.host_cpu, own.host_cpu),
            *((name, version, versions.get(name, "none")) for name, version in record.versions.items()),
        )
        if then != now
    )
