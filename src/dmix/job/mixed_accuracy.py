"""Evaluate one finished run on mixed test images, from its weights alone."""

from __future__ import annotations

import hashlib
import json
import time

import safetensors.torch

from dmix.data.loading import feed
from dmix.data.sets.subset import subset
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset, load_part
from dmix.engine.seeding import host_generator
from dmix.errors import DmixError
from dmix.files import sweep, write_text
from dmix.grid.damage import way_out
from dmix.grid.expand import Grid
from dmix.grid.mixed import MixedPaths, can_be_evaluated, mixed_digest
from dmix.grid.paths import DATA, RunPaths
from dmix.grid.promise import refuse_edited_code
from dmix.job import facts
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
from dmix.job.recorded import forget
from dmix.job.say import say
from dmix.lock import held
from dmix.methods.supervised import Supervised
from dmix.mixed.accuracy import SEED, measure
from dmix.mixed.draws import stratified
from dmix.mixed.mixings import one_group, series_of
from dmix.mixed.pairs import draw_pairs
from dmix.mixed.record import OWN, MixedAccuracy, check_weights, read_mixed
from dmix.record import Record, read_record

SPLIT = "test"


def evaluate_mixed(grid: Grid, name: str, options: Options) -> int:
    """Measure the accuracy of run `name` on its mixed test images and write mixed.json; return 0.

    What is done returns at once.

    Raises
    ------
    DmixError: the run is not finished or of another kind, its weights or data are not those of its record, or
        an earlier result is damaged or of other weights.
    """
    facts.note()
    spec = grid.runs[name]
    if not can_be_evaluated(spec):
        raise DmixError(
            f"{name}: the accuracy on mixed images is measured of supervised runs; "
            f"{spec.settings['method']['use']} mixes labelled with unlabelled images",
            "choose a run whose name begins with supervised/",
        )
    paths, run = MixedPaths(grid.tier, grid.folders[name]), RunPaths(grid.tier, grid.folders[name])
    record = record_of(grid, name)
    # For people who look up a folder by its digests; also shows early that the folder can be written.
    write_text(paths.work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    lock = paths.work / "lock"
    with held(lock, lambda holder: say(f"waiting: {holder} is evaluating this run ({lock})")):
        for place in (paths.work, paths.product.parent):
            sweep(place)
        if paths.product.exists():
            check_weights(read_mixed(paths.product), paths.product, record.weights_sha256)
        else:
            weights = weights_of(run, record, grid.tier)
            with placed(options, name) as here:
                found = _evaluate(grid, name, record, weights, here)
            found.write(paths.product)
            say(f"{name}: {_told(found)} ({found.seconds:.1f} s)")
        forget(paths.failure)
    return 0


def record_of(grid: Grid, name: str) -> Record:
    """Return the record of a finished run.

    Raises
    ------
    DmixError: it has none, or a damaged one.
    """
    path = RunPaths(grid.tier, grid.folders[name]).record
    if not path.exists():
        raise DmixError(
            f"{name} is not finished: it has no record {path}",
            f"run: dmix train {name} --tier {grid.tier}",
            exit_code=1,
        )
    return read_record(path)


def weights_of(run: RunPaths, record: Record, tier: str) -> bytes:
    """Return the content of the run's file of weights.

    Raises
    ------
    DmixError: it cannot be read, or its sha256 is not the one in the record.
    """
    try:
        content = run.weights.read_bytes()
    except OSError as error:
        raise DmixError(
            f"cannot read {run.weights}: {error.strerror}",
            way_out(run.results, record.name, tier),
            exit_code=1,
        ) from error
    if hashlib.sha256(content).hexdigest() != record.weights_sha256:
        raise DmixError(
            f"{run.weights} was cut or edited: its sha256 is not the one in record.json",
            way_out(run.results, record.name, tier),
            exit_code=1,
        )
    return content


def _evaluate(grid: Grid, name: str, record: Record, weights: bytes, options: Options) -> MixedAccuracy:
    started, spec = time.monotonic(), grid.runs[name]
    device = choose_device(options.device)
    dataset = load_dataset(spec, DATA)
    if dataset.fingerprint != record.data_fingerprint:
        raise DmixError(
            f"{name} was trained and tested on other data than those in {DATA}: their fingerprint differs",
            "dmix data verify checks them against their source",
        )
    how = read_options(options, device)
    method = assemble(one_group(spec), dataset, device, how).method
    assert isinstance(method, Supervised)
    method.load_state_dict(safetensors.torch.load(weights))
    split = dataset.splits[SPLIT]
    pairs = draw_pairs(split.labels, host_generator(SEED, "pairs"))
    recipe = spec.settings["recipe"]
    batches = feed.evaluation(
        subset(split, pairs.order),
        load_part("view", spec.settings["view"]),
        feed.ReadOptions(how.workers),  # each image is read once, which no cache makes faster
        batch_size=pairs.size,
        mean=recipe["mean"],
        std=recipe["std"],
        device=device,
    )
    probabilities = stratified(len(pairs.partners), host_generator(SEED, "lam")).tolist()
    series = series_of(spec, method.policy)
    mixings = measure(method, batches, pairs.partners, probabilities, series)
    refuse_edited_code(spec)
    return MixedAccuracy(
        name=name,
        folder=grid.folders[name],
        evaluation=mixed_digest(),
        weights_sha256=record.weights_sha256,
        data_edition=dataset.edition,
        data_fingerprint=dataset.fingerprint,
        images=len(split),
        mixings=mixings,
        seconds=round(time.monotonic() - started, 3),
        versions=facts.versions("scipy"),
        hardware=facts.hardware(device),
    )


def _told(found: MixedAccuracy) -> str:
    """Return Top-1 and Top-2 of the run's own policy or, in a run without one, of Mixup at lam = 1/2."""
    own = found.mixings.get(OWN)
    if own is not None and own.training is not None:
        return f"own policy, top-1 {own.training.top1_percent:.2f} %, top-2 {own.training.top2_percent:.2f} %"
    half = next(point for point in found.mixings["mixup"].sweep if point.nominal == 0.5)
    return f"mixup at lam 0.5, top-1 {half.top1_percent:.2f} %, top-2 {half.top2_percent:.2f} %"
