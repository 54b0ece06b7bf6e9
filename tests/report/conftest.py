"""A small grid with made-up entries and records written by hand, so that no real part is needed."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from dmix.grid.code import code_digest
from dmix.grid.expand import Grid
from dmix.grid.schema import Params
from dmix.grid.spec import RunSpec
from dmix.grid.yaml_lines import Document
from dmix.record import Hardware, Record, Scores
from dmix.report.frame import load_frame
from dmix.report.table import build_table

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
PARAMS = {
    "seeds": SEEDS,
    "tiers": {
        "full": {"title": "full scale"},
        "toy": {"title": "toy scale", "note": "A toy: 16 px, ~25 epochs, p < 1 & no claims."},
    },
    "datasets": {"toy100": {"title": "Toy-100 {made_up}"}, "toy10": {"title": "Toy-10"}},
    "backbones": {
        "r18": {"title": "ResNet-18", "forward_gflop": 1.0},
        "rx50": {"title": "ResNeXt-50 (32x4d)", "forward_gflop": 1.0},
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
            "reported": {"table": "Table T", "setting": "epochs=5"},
        }
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


class ToyGrid(Grid):
    """A grid in which PuzzleMix alone is not implemented, whatever parts exist."""

    def missing(self, name):
        return ("dmix/mixups/puzzle.py",) if "/puzzle/" in name else ()


def spec_of(policy, backbone, objective, seed, variation=(), dataset="toy100", edition="embedded"):
    settings = {
        "dataset": {"use": "toy_data", "edition": edition, "mean": [0.5, 0.25]},
        "backbone": {"use": f"toy_{backbone}"},
        "recipe": {"epochs": 5, "lr": 0.1, "score": "median_last10", "nesterov": False},
        "policy": {"use": f"toy_{policy}", "alpha": 0.2},
        "objective": {"use": f"toy_{objective}", **{k.partition(".")[2]: v for k, v in variation}},
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


def make_grid(specs, tier="toy"):
    runs = {spec.name: spec for spec in specs}
    document = Document(Path("params.yaml"), {}, {})
    params = Params.model_validate(PARAMS)
    return ToyGrid(tier, params, document, runs, {"all": tuple(runs)}, None, {})


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
        "readings": (5,),
        "scores": {"student": scores},
        "primary": "student",
        "score": score,
        "weights_sha256": "a" * 64,
    }
    return Record(**(values | changes))


@pytest.fixture
def toy(tmp_path):
    """The toy grid with its records, and the means to make others."""
    root = tmp_path / "runs"

    def write(grid, spec, score, /, **changes):
        path = root / grid.folders[spec.name] / "record.json"
        make_record(spec, score, **changes).write(path)
        return path

    def fill(grid):
        for spec in grid.runs.values():
            axes = spec.axes
            scores = SCORES.get((axes["policy"], axes["backbone"], axes["objective"]))
            if scores and scores[spec.seed] is not None:
                write(grid, spec, scores[spec.seed])

    def frame(grid):
        return load_frame(grid, tuple(grid.runs), root)

    def table(grid, deviations=()):
        entry = grid.params.tables["toy"]
        return build_table("toy", frame(grid), entry, grid.params, grid.tier, deviations)

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
    )
