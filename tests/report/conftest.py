"""A small grid with made-up entries and records written by hand, so that no real part is needed."""

import hashlib
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from dmix.grid.cell import Cell
from dmix.grid.code import code_digest
from dmix.grid.expand import Grid
from dmix.grid.paths import weights_beside
from dmix.grid.schema import Params
from dmix.grid.spec import RunSpec
from dmix.grid.yaml_lines import Document
from dmix.record import Hardware, Record, Scores
from dmix.report.frame import load_frame
from dmix.report.levels import settings_of
from dmix.report.table import build_table

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
WEIGHTS, HISTORY = b"weights", b"step\n"
PARAMS = {
    "seeds": SEEDS,
    "tiers": {
        "full": {"title": "full scale"},
        "toy": {"title": "toy scale", "note": "A toy: 16 px, ~25 epochs, p < 1 & no claims."},
    },
    "datasets": {
        "toy100": {"title": "Toy-100 {made_up}"},
        "toy10": {"title": "Toy-10"},
        "far": {"title": "Far-5"},
    },
    "backbones": {
        "r18": {"title": "ResNet-18", "forward_gflop": {32: 1.0}},
        "rx50": {"title": "ResNeXt-50 (32x4d)", "forward_gflop": {32: 1.0}},
    },
    "recipes": {"toy": {}},
    "policies": {
        "vanilla": {"title": "Vanilla", "kind": "none", "family": "none"},
        "auto": {"title": "Auto*Mix", "kind": "dynamic", "family": "cutting"},
        "mix": {"title": "Mix_up & Co", "kind": "static", "family": "interpolation"},
        "puzzle": {"title": "PuzzleMix", "kind": "dynamic", "family": "cutting"},
        "cut": {"title": "100% Cut#Mix", "kind": "static", "family": "cutting"},
    },
    "objectives": {
        "ce": {"title": "CE", "group": "clean"},
        "mce": {"title": "MCE", "group": "softmax"},
        "dm_ce": {"title": "DM(CE)", "group": "softmax"},
    },
    "methods": {"supervised": {"title": "Supervised", "task": "supervised"}},
    "grids": {"all": {}},
    "tables": {
        "toy": {
            "title": "Top-1 accuracy (%) of A & B",
            "number": "T_1",
            "grids": ["all"],
            "rows": "policy",
            "columns": ["dataset", "backbone", "objective"],
            "place": {"ce": "mce"},
            "gain": {"of": "dm_ce", "over": "mce"},
            "reported": {"table": "Table T", "settings": ["epochs=5"]},
        },
        "sweep": {
            "title": "Top-1 accuracy (%) for values of eta",
            "number": "F",
            "grids": ["all"],
            "rows": "policy",
            "columns": ["objective", "objective.eta"],
            "gain": {"of": "dm_ce", "over": "mce"},
        },
    },
}

# policy, backbone, objective -> the score of each seed; None is no record.
SCORES = {
    ("vanilla", "r18", "ce"): (70.0, 71.0, 72.0),
    ("vanilla", "rx50", "ce"): (74.12, 74.34, None),  # partial
    ("mix", "r18", "mce"): (72.1, 72.3, 72.5),
    ("mix", "r18", "dm_ce"): (74.1, 74.0, 73.9),
    ("mix", "rx50", "mce"): (76.5, 76.5, 76.5),  # tie for the best, no spread
    ("mix", "rx50", "dm_ce"): (76.0, None, 75.5),  # partial, a loss of -0.75 over two pairs
    ("cut", "r18", "mce"): (72.304, 72.3, 72.302),  # prints like mix: a tie
    ("cut", "r18", "dm_ce"): (73.5, None, None),  # one seed: no spread
    ("auto", "r18", "mce"): (72.0, 72.2, 72.1),
    ("auto", "r18", "dm_ce"): (72.0, 72.2, 72.099),  # a gain that rounds to minus zero
    ("auto", "rx50", "mce"): (76.5, 76.6, 76.4),  # the other half of the tie
    ("auto", "rx50", "dm_ce"): (77.0, 77.2, 77.1),
}


# eta of the sweep -> what it adds to the score of MCE.
SWEEP = {10.0: -0.25, 0.5: 1.5, 0.1: 1.0, 1.0: 1.25}
USUAL = {"mix": 0.1, "cut": 0.1, "auto": 1.0}


class ToyGrid(Grid):
    """A grid in which PuzzleMix alone is not implemented, and the data set Far is not on this machine."""

    def missing(self, name):
        return ("dmix/policies/puzzle.py",) if "/puzzle/" in name else ()

    def lacks(self, name, looked=None):
        return "dmix data fetch far" if "/far/" in name and not self.missing(name) else None


def spec_of(
    policy, backbone, objective, seed, variation=(), dataset="toy100", edition="embedded", **of_objective
):
    """Return a run; `of_objective` are settings that are not in its name."""
    settings = {
        "dataset": {"use": "toy_data", "edition": edition, "mean": [0.5, 0.25]},
        "backbone": {"use": f"toy_{backbone}"},
        "recipe": {"epochs": 5, "init": "random", "lr": 0.1, "score": "median_last10", "nesterov": False},
        "policy": {"use": f"toy_{policy}", "alpha": 0.2},
        "objective": {
            "use": f"toy_{objective}",
            **{key.partition(".")[2]: value for key, value in variation},
            **of_objective,
        },
        "method": {"use": "toy_supervised"},
    }
    axes = {
        "method": "supervised",
        "dataset": dataset,
        "backbone": backbone,
        "policy": policy,
        "objective": objective,
    }
    return RunSpec("supervised", axes, settings, tuple(variation), {"recipe": {"nesterov": False}}, seed)


def toy_specs(edition="embedded"):
    for policy, backbone in itertools.product(PARAMS["policies"], PARAMS["backbones"]):
        for objective in ("ce",) if policy == "vanilla" else ("mce", "dm_ce"):
            for seed in SEEDS:
                yield spec_of(policy, backbone, objective, seed, edition=edition)


def sweep_specs():
    """Yield runs at each eta; at the usual one of a policy, eta is not in the name, as in the real grid."""
    for policy, seed in itertools.product(USUAL, SEEDS):
        yield spec_of(policy, "r18", "mce", seed)
        for eta in SWEEP:
            variation = () if eta == USUAL[policy] else [("objective.eta", eta)]
            yield spec_of(policy, "r18", "dm_ce", seed, variation, eta=eta)


def make_grid(specs, tier="toy"):
    runs = {spec.name: spec for spec in specs}
    document = Document(Path("params.yaml"), {}, {})
    params = Params.model_validate(PARAMS)
    cells = {name: Cell(spec.axes, "toy", spec.variation, ()) for name, spec in runs.items()}
    return ToyGrid(tier, params, document, runs, {"all": tuple(runs)}, None, cells)


def make_record(spec, score, /, **changes):
    scores = Scores(median_last10=score, best=min(100.0, score + 1), last=score, last10=(score,))
    values = {
        "name": spec.name,
        "spec_digest": spec.digest(),
        "code_digest": code_digest(spec),
        "code_modules": {},
        "spec": spec.identity(),
        "seed": spec.seed,
        "data_edition": spec.settings["dataset"]["edition"],
        "data_fingerprint": "f" * 8,
        "git_commit": None,
        "git_dirty": None,
        "versions": {"torch": "0"},
        "hardware": Hardware(device="cpu", threads=1, host_cpu="any", peak_memory_mb=1.0),
        "precision": "fp32",
        "started": "2000-01-01T00:00:00",
        "finished": "2000-01-01T00:01:00",
        "seconds": 60.5,
        "gpu_hours": 0.0,
        "images_per_second": 1234.5,
        "resumes": 1,
        "parameters": 10,
        "evaluations": (5,),
        "scores": {"student": scores},
        "primary": "student",
        "score": score,
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "history_sha256": hashlib.sha256(HISTORY).hexdigest(),
    }
    return Record(**(values | changes))


@pytest.fixture
def toy(tmp_path):
    """The toy grid with its records, and the means to make others."""
    root = tmp_path / "records"

    def write(grid, spec, score, /, **changes):
        path = root / grid.folders[spec.name] / "record.json"
        make_record(spec, score, **changes).write(path)
        weights = weights_beside(root) / grid.folders[spec.name] / "weights.safetensors"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(WEIGHTS)
        path.with_name("history.csv").write_bytes(HISTORY)
        return path

    def fill(grid):
        for spec in grid.runs.values():
            axes = spec.axes
            scores = SCORES.get((axes["policy"], axes["backbone"], axes["objective"]))
            if scores and scores[spec.seed] is not None:
                write(grid, spec, scores[spec.seed])

    def frame(grid, settings=()):
        return load_frame(grid, tuple(grid.runs), root, settings)

    def table(grid, name="toy", published=None, **changes):
        entry = grid.params.tables[name].model_copy(update=changes)
        runs = frame(grid, settings_of(entry))
        return build_table(name, runs, entry, grid.params, grid.tier, reported=published)

    def sweep():
        grid = make_grid(sweep_specs())
        for spec in grid.runs.values():
            gain = SWEEP.get(spec.settings["objective"].get("eta"), 0.0)
            # Auto*Mix at eta 10 has no record yet.
            if (spec.axes["policy"], gain) != ("auto", -0.25):
                write(grid, spec, 70.0 + 2 * list(USUAL).index(spec.axes["policy"]) + gain + spec.seed / 8)
        return grid

    grid = make_grid(toy_specs())
    fill(grid)
    # One record that somebody edited: CutMix on ResNeXt-50, seed 0.
    edited = spec_of("cut", "rx50", "mce", 0)
    changed = edited.identity() | {"recipe": {"epochs": 50, "lr": 0.1, "score": "median_last10"}}
    write(grid, edited, 99.99, spec=changed)
    return SimpleNamespace(
        grid=grid,
        root=root,
        write=write,
        fill=fill,
        frame=frame,
        table=table,
        reference=HERE / "reference",
        expected=HERE / "expected",
        make_grid=make_grid,
        spec_of=spec_of,
        specs=toy_specs,
        sweep=sweep,
    )
