"""The full tier is the paper's: its settings against tables written out by hand.

Sources: the paper, section 4 and A.3; for what it does not print, OpenMixup's configurations, on which its
experiments run, in transfer learning Self-Tuning's code, and in semi-supervised learning TorchSSL's.
docs/grid.md, docs/transfer.md and docs/semi-supervised.md say which is which.
"""

from __future__ import annotations

from collections import Counter

import pytest

from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec
from paper import paper

ABLATIONS = ("eta_imagenet", "xi_rsb", "t_rsb", "eta_cifar100", "eta_tiny", "eta_cub")
STATIC = ("mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix")
DYNAMIC = ("puzzlemix", "automix", "samix")

CIFAR_PIXELS = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2023, 0.1994, 0.2010]}
IMAGENET_PIXELS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
SGD = {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "score": "median_last10"}
ADAMW = {
    "optimizer": "adamw", "lr": 1e-3, "momentum": 0.9, "beta2": 0.999, "eps": 1e-8,
    "weight_decay": 0.05, "no_decay": "vectors_and_embeddings", "clip_norm": 5.0,
    "schedule": "cosine", "lr_end": 1e-5, "warmup_start": 1e-5, "score": "median_last10",
}  # fmt: skip
# All that is not at its neutral value; so no warm-up, clipping or half precision where none is named, and a
# rate that ends at 0.
RECIPES = {
    "cifar": {
        **SGD,
        **CIFAR_PIXELS,
        "epochs": 800, "batch_size": 100, "lr": 0.1, "weight_decay": 1e-4, "eval_every": 20,
    },
    "tiny": {
        **SGD,
        **IMAGENET_PIXELS,
        "epochs": 400, "batch_size": 100, "lr": 0.2, "weight_decay": 1e-4, "eval_every": 20,
    },
    "imagenet": {
        **SGD,
        **IMAGENET_PIXELS,
        "epochs": 100, "batch_size": 256, "shards": 4, "lr": 0.1, "weight_decay": 1e-4, "eval_every": 10,
    },
    "deit": {
        **ADAMW,
        **IMAGENET_PIXELS,
        "epochs": 300, "batch_size": 1024, "shards": 8, "warmup_epochs": 5, "eval_every": 10,
    },
    "swin": {
        **ADAMW,
        **IMAGENET_PIXELS,
        "epochs": 300, "batch_size": 1024, "shards": 8, "warmup_epochs": 20, "warmup_start": 1e-6,
        "eval_every": 10, "precision": "fp16",
    },
    "rsb_a3": {
        **IMAGENET_PIXELS,
        "optimizer": "lamb", "lr": 8e-3, "momentum": 0.9, "beta2": 0.999, "eps": 1e-6,
        "weight_decay": 0.02, "no_decay": "vectors", "clip_norm": 1.0, "precision": "fp16",
        "schedule": "cosine", "lr_end": 1e-6, "warmup_epochs": 5, "warmup_start": 1e-5,
        "epochs": 100, "batch_size": 2048, "shards": 4, "eval_every": 10, "score": "median_last10",
        "sync_batchnorm": True,
    },
    "finegrained": {
        **SGD,
        **IMAGENET_PIXELS,
        "epochs": 200, "batch_size": 16, "lr": 1e-3, "weight_decay": 5e-4, "eval_every": 10,
    },
    "transfer": {
        **IMAGENET_PIXELS,
        "optimizer": "sgd", "lr": 1e-3, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4,
        "schedule": "multistep", "milestones": [6000, 12_000, 18_000, 24_000], "lr_decay": 0.1,
        "head_lr_factor": 10.0, "steps": 27_005, "batch_size": 24, "unlabelled_ratio": 1,
        "score": "best", "eval_every": 3000, "eval_also": [500],
    },
    "semi": {
        "mean": [0.49137255, 0.48235294, 0.44666667], "std": [0.24705882, 0.24352941, 0.26156863],
        "optimizer": "sgd", "lr": 0.03, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4,
        "no_decay": "vectors", "schedule": "cosine_7_16", "ema": 0.999,
        "steps": 2**20, "batch_size": 64, "unlabelled_ratio": 7,
        "score": "best", "eval_every": 5000, "eval_late": 1000,
    },
}  # fmt: skip
OF_EPOCHS = tuple(recipe for recipe in RECIPES if recipe not in ("transfer", "semi"))
# What semi-supervised learning has otherwise on CIFAR-100, and for some methods.
OF_CIFAR100 = {
    "mean": [0.50705882, 0.48666667, 0.44078431], "std": [0.26745098, 0.25647059, 0.27607843],
    "weight_decay": 1e-3,
}  # fmt: skip
FEW_UNLABELLED = ("pseudo_label", "mixmatch", "remixmatch")  # one for each labelled image
# What the files of AutoMix and SAMix have otherwise: where the rate ends; with Swin-T, warm-up and float32.
OF_LEARNED = {"cifar": {"lr_end": 0.05}, "tiny": {"lr_end": 0.05}, "swin": {"warmup_start": 1e-5}}
IN_FLOAT32 = ("swin",)

CROP = {"use": "random_resized_crop", "flip": 0.5}
RAND = {
    "use": "rand_augment", "scale": [0.08, 1.0], "interpolation": "bicubic", "flip": 0.5,
    "operations": 2, "magnitude_std": 0.5,
}  # fmt: skip
AUGMENT = {
    "cifar": {"use": "crop_flip", "padding": 4, "flip": 0.5},
    "tiny": {**CROP, "size": 64, "scale": [0.08, 1.0], "interpolation": "bicubic"},
    "imagenet": {**CROP, "size": 224, "scale": [0.08, 1.0], "interpolation": "bicubic"},
    "deit": {**RAND, "size": 224, "magnitude": 9, "erasing": 0.25},
    "swin": {**RAND, "size": 224, "magnitude": 9, "erasing": 0.25},
    "rsb_a3": {**RAND, "size": 160, "magnitude": 6},
    "finegrained": {
        **CROP,
        "shorter_side": 256, "size": 224, "scale": [0.5, 1.0], "interpolation": "bilinear",
    },
    "transfer": {
        "use": "square_rand_augment", "first_side": 256, "size": 224, "scale": [0.08, 1.0],
        "interpolation": "bilinear", "flip": 0.5, "operations": 2, "cutout": 16,
    },
    "semi": {"use": "crop_flip", "padding": 4, "flip": 0.5},
}  # fmt: skip
STRONG = {"semi": {"use": "strong", "operations": 3, "cutout": 0.5, "padding": 4, "flip": 0.5}}
CENTRE = {"use": "resize_crop", "shorter_side": 256, "size": 224, "interpolation": "bicubic"}
UNCHANGED = {"use": "unchanged"}
VIEW = {
    "cifar": UNCHANGED,
    "tiny": UNCHANGED,
    "imagenet": CENTRE,
    "deit": CENTRE,
    "swin": CENTRE,
    "rsb_a3": {**CENTRE, "shorter_side": 236},
    "finegrained": {**CENTRE, "interpolation": "bilinear"},
    "transfer": {"use": "ten_crop", "side": 256, "size": 224, "interpolation": "bicubic"},
    "semi": UNCHANGED,
}

# Classes, training and test images, side in pixels where all images have one.
DATASETS = {
    "cifar10": (10, 50_000, 10_000, 32),
    "cifar100": (100, 50_000, 10_000, 32),
    "tiny_imagenet": (200, 100_000, 10_000, 64),
    "imagenet": (1000, 1_281_167, 50_000, None),
    "cub": (200, 5994, 5794, None),
    "aircraft": (100, 6667, 3333, None),
    "cars": (196, 8144, 8041, None),
}
RESNET = {"use": "resnet", "width": 64}
BOTTLENECK = {**RESNET, "block": "bottleneck", "layers": [3, 4, 6, 3]}
WIDE = {"use": "wideresnet", "depth": 28, "preact_quirk": True, "norm_momentum": 0.001}
BACKBONES = {
    "resnet18": {**RESNET, "block": "basic", "layers": [2, 2, 2, 2]},
    "resnet34": {**RESNET, "block": "basic", "layers": [3, 4, 6, 3]},
    "resnet50": {**BOTTLENECK, "group_width": 64},
    "resnext50": {**BOTTLENECK, "groups": 32, "group_width": 4},
    "deit_small": {
        "use": "vit", "image_size": 224, "patch_size": 16, "embed_dim": 384, "layers": [3, 3, 6],
        "heads": 6, "drop_path": 0.1,
    },
    "swin_tiny": {
        "use": "swin", "image_size": 224, "patch_size": 4, "window_size": 7, "embed_dim": 96,
        "layers": [2, 2, 6, 2], "heads": [3, 6, 12, 24], "drop_path": 0.2,
    },
    "wrn28_2": {**WIDE, "widen": 2},
    "wrn28_8": {**WIDE, "widen": 8},
}  # fmt: skip
FROM_SCRATCH = ("cifar", "tiny", "imagenet", "rsb_a3")  # recipes of ResNets that load no weights
STEM = {"cifar10": "cifar", "cifar100": "cifar", "tiny_imagenet": "cifar"}
STEM |= dict.fromkeys(("imagenet", "cub", "aircraft", "cars"), "imagenet")
NETWORKS = {
    "cifar": {("cifar100", "resnet18"), ("cifar100", "resnext50"), ("cifar10", "resnet18")},
    "tiny": {("tiny_imagenet", "resnet18"), ("tiny_imagenet", "resnext50")},
    "imagenet": {("imagenet", "resnet18"), ("imagenet", "resnet34"), ("imagenet", "resnet50")},
    "deit": {("imagenet", "deit_small")},
    "swin": {("imagenet", "swin_tiny")},
    "rsb_a3": {("imagenet", "resnet50"), ("imagenet", "resnet34")},  # the latter in Figure 5
    "finegrained": {
        *(("cub", "resnet18"), ("cub", "resnext50"), ("aircraft", "resnet18"), ("aircraft", "resnext50")),
        ("cars", "resnet18"),
    },
    "transfer": {
        *(("cub", "resnet50"), ("aircraft", "resnet50"), ("cars", "resnet50")),
        ("cub", "resnet18"),  # in Table 8
    },
    "semi": {("cifar10", "wrn28_2"), ("cifar100", "wrn28_8"), ("cifar100", "wrn28_2")},  # the last in S8
}
INIT = {
    "resnet18": "weights/resnet18-f37072fd.pth",
    "resnet50": "weights/resnet50-0676ba61.pth",
    "resnext50": "weights/resnext50_32x4d-7cdf4587.pth",
}

# alpha without DM: a number, or one for each backbone that has another one.
POLICIES = (*STATIC, *DYNAMIC)
R18 = {"resnet18": 0.2, "resnet34": 1.0, "resnet50": 1.0}
ALPHA = {
    recipe: dict(zip(POLICIES, row, strict=True))
    for recipe, row in {
        #              Mixup CutMix Manifold Saliency FMix Resize Puzzle AutoMix SAMix
        "cifar": (1.0, 0.2, 2.0, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0),
        "tiny": (1.0, 1.0, 0.2, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0),
        "imagenet": (0.2, R18, 0.2, R18, R18, R18, 1.0, 2.0, 2.0),
        "deit": (0.2, 0.2, None, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0),
        "swin": (0.2, 0.2, None, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0),
        "rsb_a3": (0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0),
        "finegrained": (0.2, 1.0, 0.5, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0),
    }.items()
}
WITH_DM = {**dict.fromkeys(STATIC, 0.2), **dict.fromkeys(DYNAMIC, 2.0)}
# What a policy has beside alpha.
OWN = {
    "mixup": {},
    "cutmix": {"derangement": True},
    "manifoldmix": {"layers": [0, 1, 2]},
    "saliencymix": {"saliency_input": "float_normalised", "per_image": False},
    "fmix": {"decay": 3.0, "derangement": True},
    "resizemix": {"placement": "clipped"},
}
RECIPES_OWN = {"deit": (0.8, 1.0), "rsb": (0.1, 1.0)}
PUZZLE = {
    "use": "puzzlemix", "beta": 1.2, "gamma": 0.5, "eta": 0.2, "levels": 3, "edge_pool": 4,
    "transport_eps": 0.8, "solver": "primal_dual",
}  # fmt: skip
PROCESSES = {"imagenet": 4, "deit": 8, "swin": 8, "rsb_a3": 4}  # of released runs, each with its own lam

LEARNED = {"alpha": 2.0, "margin": 0.08, "mask_margin": 0.1, "mask_weight": 0.1, "momentum": 0.999}
CONSTANT = {"mask_weight_schedule": "constant", "momentum_end": 0.999999}
FADING = {"mask_weight_schedule": "compounding_cosine", "momentum_end": 0.99999}


def mixer(lr: float, lr_end: float, momentum: float = 0.9) -> dict[str, float]:
    return {"mixer_lr": lr, "mixer_lr_end": lr_end, "mixer_momentum": momentum}


BOTH = {
    "cifar": {**CONSTANT, **mixer(0.1, 0.05)},
    "tiny": {**CONSTANT, **mixer(0.1, 1e-3)},
    "imagenet": {**FADING, **mixer(0.1, 1e-3)},
    "deit": {**FADING, **mixer(1e-3, 1e-4), "mixer_warmup": False},
    "swin": {**FADING, **mixer(1e-3, 1e-4), "mixer_warmup": False},
    "rsb_a3": {**FADING, **mixer(8e-3, 8e-4), "generator_loss": "mbce_one"},
    "finegrained": {**FADING, **mixer(0.01, 5e-4), "derangement": True},
}
L1, VARIANCE = {"mask_loss": "l1"}, {"mask_loss": "l1_variance"}
SAMIX_OF_IMAGENET = {**VARIANCE, "lam_residual": -1.0, "dropout": 0.1}
OWN_OF_LEARNED = {
    "automix": {recipe: {**L1, "lam_channel": recipe not in ("cifar", "tiny")} for recipe in OF_EPOCHS},
    "samix": {
        "cifar": {**VARIANCE, "lam_residual": 0.25, "mask_adjust": 0.25},
        "tiny": {**VARIANCE, "lam_residual": 0.25},
        "imagenet": SAMIX_OF_IMAGENET,
        "deit": SAMIX_OF_IMAGENET,
        "swin": SAMIX_OF_IMAGENET,
        "rsb_a3": SAMIX_OF_IMAGENET,
        "finegrained": {**VARIANCE, "lam_residual": 1.0, "dropout": 0.1},
    },
}
# Single files that say otherwise: policy, recipe, data set or None, backbone.
EXCEPTIONS = {
    ("automix", "finegrained", None, "resnext50"): {"mask_loss": "l1_variance"},
    ("samix", "tiny", None, "resnet18"): {"lam_residual": -1.0},
    ("samix", "finegrained", "aircraft", "resnet18"): {"momentum_end": 0.99996},
    ("samix", "finegrained", "aircraft", "resnext50"): {"momentum_end": 0.99996},
    ("automix", "imagenet", None, "resnet50"): {"mixer_momentum": 0.0},
    ("samix", "imagenet", None, "resnet50"): {"mixer_momentum": 0.0},
}

# eta by data set and backbone, of static and of dynamic policies. The recipes' own mixing counts as static.
ETA = {
    **dict.fromkeys(
        (
            *(("cifar100", "resnet18"), ("cifar100", "resnext50"), ("cifar10", "resnet18")),
            *(("imagenet", "resnet18"), ("imagenet", "resnet34"), ("imagenet", "resnet50")),
            *(("imagenet", "deit_small"), ("imagenet", "swin_tiny")),
            *(("tiny_imagenet", "resnext50"), ("cub", "resnext50"), ("aircraft", "resnext50")),
        ),
        (0.1, 1.0),
    ),
    **dict.fromkeys(
        (
            *(("tiny_imagenet", "resnet18"), ("cub", "resnet18"), ("aircraft", "resnet18")),
            ("cars", "resnet18"),
        ),
        (1.0, 1.0),
    ),
}
RESCALING = {"mixup": (0.5, 1.0), "manifoldmix": (0.5, 1.0)}  # t, xi; all others are cutting policies
CUTTING = (1.0, 0.8)

# OpenMixup's own DM(CE) on CIFAR-100: alpha, eta, mode, power, weight decay.
RELEASED = {
    ("resnet18", "mixup"): (0.2, 0.01, "more", 0.5, 1e-4),
    ("resnet18", "cutmix"): (0.2, 0.1, "less", 0.5, 1e-4),
    ("resnet18", "manifoldmix"): (0.5, 0.01, "more", 0.0, 1e-4),
    ("resnet18", "saliencymix"): (0.2, 0.01, "less", 0.0, 1e-4),
    ("resnet18", "fmix"): (0.2, 0.01, "less", 0.0, 1e-4),
    ("resnet18", "resizemix"): (0.2, 0.1, "less", 0.5, 1e-4),
    ("resnext50", "mixup"): (0.2, 0.01, "both", 1.0, 1e-4),
    ("resnext50", "cutmix"): (0.2, 0.1, "both", 1.0, 5e-4),
    ("resnext50", "manifoldmix"): (2.0, 0.05, "both", 1.0, 1e-4),
    ("resnext50", "saliencymix"): (0.2, 0.1, "both", 1.0, 5e-4),
    ("resnext50", "fmix"): (0.2, 0.5, "both", 0.0, 5e-4),
    ("resnext50", "resizemix"): (0.2, 0.01, "less", 0.0, 5e-4),
}

# Transfer learning. What a method has, what "+DM" adds to it as the paper has it, and what "+Mixup" has else.
METHODS = {
    "fine_tuning": {},
    "bss": {"shrinkage": 0.001, "k": 1},
    "co_tuning": {"relation_weight": 2.3},
    "self_tuning": {
        "projection": 1024, "depth": 32, "temperature": 0.07, "key_momentum": 0.999, "contrast": 1.0,
        "pseudo_forward": "reuse",
    },
}  # fmt: skip
SEMI_METHODS = {
    "supervised_only": {},
    "pseudo_label": {"threshold": 0.95, "weight": 1.0, "ramp": 0.4},
    "mixmatch": {"temperature": 0.5, "alpha": 0.5, "weight": 100.0, "ramp": 0.4, "dm": "kinds"},
    "remixmatch": {
        "temperature": 0.5, "alpha": 0.75, "momentum": 0.999, "match": 1.5, "strong": 0.5, "rotation": 0.5,
        "ramp": 1 / 64,
    },
    "uda": {"threshold": 0.8, "temperature": 0.4, "weight": 1.0, "annealing": "none"},
    "fixmatch": {"threshold": 0.95, "weight": 1.0},
    "flexmatch": {"threshold": 0.95, "weight": 1.0, "warm_up": True},
}  # fmt: skip
RELATION = {"use": "reverse", "source_scale": 0.8840456604957581, "fit_percent": 80, "largest_scale": 1000.0}
PAIRS = {
    "use": "pairs", "rule": "at_most_half", "sides": "labelled", "unlabelled": True, "head": "own",
    "w_ll": 1.0, "w_lu": 1.0, "ramp": "cosine", "view": "first", "threshold": 0.0, "mce_sides": "both",
    "power": 0.0, "joint": False, "freeze": False,
}  # fmt: skip
NO_ASYMMETRY = {"rule": "free"}
AS_FIXMATCH = {"threshold": 0.95, "joint": True}

FULL = paper("full")
FIRST = [spec for spec in FULL.runs.values() if spec.seed == 0]
REDUCED = {run for grid, runs in FULL.grids.items() if grid.startswith("reduced") for run in runs}
USUAL = [spec for spec in FIRST if not spec.variation]


def recipe_of(spec: RunSpec) -> str:
    return FULL.cells[spec.name].recipe


def place(spec: RunSpec) -> tuple[str, str]:
    return spec.axes["dataset"], spec.axes["backbone"]


def stated(spec: RunSpec, section: str) -> dict[str, object]:
    """Return a section's settings that are not neutral: what a table of the paper would list."""
    return dict(spec.identity().get(section, {}))


def read_every_epoch(spec: RunSpec) -> bool:
    """Whether claim dm-trains-faster compares the epochs of the run."""
    of_figure2 = spec.axes["policy"] == "mixup" and spec.axes["objective"] in ("mce", "dm_ce")
    return of_figure2 and place(spec) == ("cifar100", "resnet18")


@pytest.mark.parametrize("recipe", RECIPES)
def test_optimisation_is_the_recipes(recipe):
    runs = [spec for spec in FIRST if recipe_of(spec) == recipe]
    assert {place(spec) for spec in runs} == NETWORKS[recipe]
    for spec in runs:
        expected = dict(RECIPES[recipe])
        if spec.axes["policy"] in ("automix", "samix"):
            expected |= OF_LEARNED.get(recipe, {})
            if recipe in IN_FLOAT32:
                del expected["precision"]
        if recipe in ("finegrained", "transfer"):
            expected["init"] = INIT[spec.axes["backbone"]]
        if recipe == "semi":
            expected |= OF_CIFAR100 if spec.axes["dataset"] == "cifar100" else {}
            expected["unlabelled_ratio"] = 1 if spec.axes["method"] in FEW_UNLABELLED else 7
            if spec.axes["method"] == "supervised_only":
                del expected["unlabelled_ratio"]  # none
            expected["steps"] = 2**17 if spec.name in REDUCED else 2**20
        if recipe == "cifar" and read_every_epoch(spec):
            expected["eval_every"] = 1
        if spec.axes["objective"] == "dm_ce_released":
            expected["weight_decay"] = RELEASED[spec.axes["backbone"], spec.axes["policy"]][4]
        assert stated(spec, "recipe") == expected, spec.name


def test_only_fine_grained_runs_start_from_weights():
    for spec in FULL.runs.values():
        init = spec.settings["recipe"]["init"]
        assert (init != "random") == (spec.axes["dataset"] in ("cub", "aircraft", "cars")), spec.name
        assert spec.source is None


@pytest.mark.parametrize("recipe", RECIPES)
def test_images_are_seen_as_the_recipe_says(recipe):
    for spec in FIRST:
        if recipe_of(spec) == recipe:
            assert stated(spec, "augment") == AUGMENT[recipe], spec.name
            assert spec.settings["strong"] == STRONG.get(recipe, {}), spec.name
            assert spec.settings["view"] == VIEW[recipe], spec.name


def test_data_sets_are_genuine_and_whole():
    assert {spec.axes["dataset"] for spec in FIRST} == set(DATASETS)
    for spec in FIRST:
        settings = spec.settings["dataset"]
        sizes = tuple(settings.get(key) for key in ("classes", "train_size", "test_size", "image_size"))
        assert sizes == DATASETS[spec.axes["dataset"]], spec.name
        assert settings["edition"] == "real"


def test_networks_are_those_of_the_paper():
    assert {spec.axes["backbone"] for spec in FIRST} == set(BACKBONES)
    for spec in FIRST:
        found = stated(spec, "backbone")
        stem, initialisation = found.pop("stem", None), found.pop("initialisation", None)
        assert initialisation == ("zero_residual" if recipe_of(spec) in FROM_SCRATCH else None), spec.name
        assert found == BACKBONES[spec.axes["backbone"]], spec.name
        resnet = found["use"] == "resnet"
        assert stem == (STEM[spec.axes["dataset"]] if resnet else None), spec.name


def sides(spec: RunSpec) -> tuple[int, int]:
    """Return the sides of training and of test images in pixels."""
    own = spec.settings["dataset"].get("image_size")
    return spec.settings["augment"].get("size") or own, spec.settings["view"].get("size") or own


def test_images_fit_the_network():
    expected = {"cifar": (32, 32), "semi": (32, 32), "tiny": (64, 64), "rsb_a3": (160, 224)}
    for spec in FIRST:
        train, test = sides(spec)
        assert (train, test) == expected.get(recipe_of(spec), (224, 224)), spec.name
        network = spec.settings["backbone"]
        if "image_size" in network:
            assert (train, test) == (network["image_size"],) * 2, spec.name
            assert network["image_size"] % (network["patch_size"] * network.get("window_size", 1)) == 0
        elif "stem" in network:
            assert (network["stem"] == "cifar") == (test <= 64), spec.name


@pytest.mark.parametrize("recipe", OF_EPOCHS)
def test_alpha_without_dm(recipe):
    seen = set()
    for spec in USUAL:
        policy, backbone = spec.axes["policy"], spec.axes["backbone"]
        plain = spec.axes["objective"] in ("mce", "mbce_one", "mbce_two")
        if recipe_of(spec) != recipe or not plain or policy in RECIPES_OWN:
            continue
        alpha = ALPHA[recipe][policy]
        alpha = alpha[backbone] if isinstance(alpha, dict) else alpha
        assert spec.settings["policy"]["alpha"] == alpha, spec.name
        seen.add(policy)
    absent = {"deit": {"manifoldmix"}, "swin": {"manifoldmix"}}
    assert set(POLICIES) - seen == absent.get(recipe, set())


def test_alpha_with_dm():
    seen = set()
    for spec in FIRST:
        policy = spec.axes["policy"]
        if spec.axes["objective"] in ("dm_ce", "dm_bce") and policy not in RECIPES_OWN:
            assert spec.settings["policy"]["alpha"] == WITH_DM[policy], spec.name
            seen.add((recipe_of(spec), policy))
    assert len(seen) == 7 * 9 - 2 + 2  # no ManifoldMix with transformers; Mixup with two streams


def test_the_recipes_own_mixing():
    found = {}
    for spec in USUAL:
        if spec.axes["policy"] in RECIPES_OWN:
            settings = spec.settings["policy"]
            assert (settings["use"], settings["cutmix_share"]) == ("mixup_cutmix", 0.5)
            key = (spec.axes["policy"], recipe_of(spec), spec.axes["objective"])
            found[key] = settings["mixup_alpha"], settings["cutmix_alpha"]
    assert found == {
        **{("deit", recipe, loss): (0.8, 1.0) for recipe in ("deit", "swin") for loss in ("mce", "dm_ce")},
        **{("rsb", "rsb_a3", loss): (0.1, 1.0) for loss in ("mbce_one", "mbce_two", "dm_bce")},
    }


def test_static_policies_have_their_constants():
    for spec in FIRST:
        policy = spec.axes["policy"]
        if policy in STATIC:
            found = {k: v for k, v in stated(spec, "policy").items() if k != "alpha"}
            assert found == {"use": policy, **OWN[policy]}, spec.name


def test_shards_are_the_processes_of_released_runs():
    for spec in FIRST:
        assert spec.settings["recipe"]["shards"] == PROCESSES.get(recipe_of(spec), 1), spec.name


def test_puzzlemix_is_the_published_one():
    for spec in FIRST:
        if spec.axes["policy"] == "puzzlemix":
            grid, block = (4, 4) if recipe_of(spec) == "cifar" else (3, 224)
            found = {k: v for k, v in stated(spec, "policy").items() if k != "alpha"}
            own = recipe_of(spec) in ("deit", "swin", "rsb_a3")  # where it is not plain cross-entropy
            saliency = {"saliency_loss": "objective"} if own else {}
            expected = {**PUZZLE, **saliency, "max_grid_log2": grid, "transport_block": block}
            assert found == expected, spec.name


@pytest.mark.parametrize("policy", OWN_OF_LEARNED)
@pytest.mark.parametrize("recipe", OF_EPOCHS)
def test_automix_and_samix_by_recipe(policy, recipe):
    runs = [spec for spec in FIRST if spec.axes["policy"] == policy and recipe_of(spec) == recipe]
    assert runs
    for spec in runs:
        dataset, backbone = place(spec)
        expected = {"use": policy, **LEARNED, **BOTH[recipe], **OWN_OF_LEARNED[policy][recipe]}
        for key in ((policy, recipe, None, backbone), (policy, recipe, dataset, backbone)):
            expected |= EXCEPTIONS.get(key, {})
        assert stated(spec, "policy") == expected, spec.name


def test_eta_by_data_set_backbone_and_kind():
    seen = set()
    for spec in USUAL:
        if spec.axes["objective"] == "dm_ce":
            eta = ETA[place(spec)][spec.axes["policy"] in DYNAMIC]
            assert spec.settings["objective"]["eta"] == eta, spec.name
            seen.add(place(spec))
    assert seen == set(ETA)


def test_t_and_xi_by_family():
    for spec in USUAL:
        if spec.axes["objective"] == "dm_bce":
            settings = spec.settings["objective"]
            expected = RESCALING.get(spec.axes["policy"], CUTTING)
            assert (settings["t"], settings["xi"]) == expected, spec.name


def test_binary_losses_are_summed_over_classes():
    binary = [spec for spec in FIRST if spec.axes["objective"] in ("mbce_one", "mbce_two", "dm_bce")]
    assert {recipe_of(spec) for spec in binary} == {"rsb_a3"}
    assert {spec.settings["objective"]["reduction"] for spec in binary} == {"sum_classes"}


def test_label_smoothing_is_the_transformers_alone():
    for spec in FIRST:
        smoothed = recipe_of(spec) in ("deit", "swin")
        assert spec.settings["objective"].get("label_smoothing", 0.0) == 0.1 * smoothed, spec.name


def test_the_released_form_is_the_released_files():
    found = {}
    for spec in FIRST:
        if spec.axes["objective"] == "dm_ce_released":
            settings = spec.settings
            found[spec.axes["backbone"], spec.axes["policy"]] = (
                settings["policy"]["alpha"],
                *(settings["objective"][key] for key in ("eta", "mode", "power")),
                settings["recipe"]["weight_decay"],
            )
    assert found == RELEASED


def varied(grid: Grid, name: str, *keys: str) -> list[tuple[object, ...]]:
    specs = [grid.runs[run] for run in grid.grids[name] if run.endswith("/s0")]
    return [(s.axes["policy"], *(s.settings["objective"][key] for key in keys)) for s in specs]


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name.startswith("eta")])
def test_figures_vary_eta(name):
    policies = ("mixup", "cutmix", "puzzlemix", "automix")
    expected = [(policy, eta) for policy in policies for eta in (0.01, 0.1, 0.5, 1.0, 2.0)]
    assert varied(FULL, name, "eta") == expected


@pytest.mark.parametrize(
    ("name", "ts", "xis"),
    [("xi_rsb", (1.0, 0.5), (1.0, 0.9, 0.8, 0.7)), ("t_rsb", (2.0, 1.0, 0.5, 0.3), (1.0, 0.8))],
)
def test_figure_5_varies_t_and_xi(name, ts, xis):
    expected = [(policy, t, xi) for policy in ("mixup", "cutmix") for t in ts for xi in xis]
    assert varied(FULL, name, "t", "xi") == expected


def test_every_cell_has_three_seeds():
    for grid, names in FULL.grids.items():
        seeds = Counter(FULL.runs[name].seed for name in names)
        assert len(set(seeds.values())) == 1, grid
        assert set(seeds) == {0, 1, 2}, grid


def test_seeds_differ_in_nothing_else():
    for spec in FULL.runs.values():
        first = FULL.runs[f"{spec.cell}/s0"]
        assert {**spec.identity(), "seed": 0} == first.identity()


TRANSFER = [spec for spec in FIRST if spec.task == "transfer"]
MIXED = [spec for spec in TRANSFER if spec.axes["policy"] == "mixup"]


def of_grid(name: str) -> list[RunSpec]:
    """Return the runs of a grid with seed 0."""
    return [spec for run in FULL.grids[name] if (spec := FULL.runs[run]).seed == 0]


def percent(spec: RunSpec) -> int:
    return spec.settings["labels"]["percent"]


def test_transfer_methods_have_their_constants():
    assert {spec.axes["method"] for spec in TRANSFER} == set(METHODS)
    for spec in TRANSFER:
        method = spec.axes["method"]
        assert spec.settings["method"] == {"use": f"transfer/{method}", **METHODS[method]}, spec.name


def test_the_rows_of_table_6():
    rows = {
        "transfer": ("ce", ("fine_tuning", "bss", "co_tuning", "self_tuning")),
        "transfer_mixup": ("mce", ("self_tuning",)),
        "transfer_dm": ("dm_ce", ("fine_tuning", "co_tuning", "self_tuning")),
    }
    for grid, (loss, methods) in rows.items():
        found = [
            (s.axes["method"], s.axes["dataset"], percent(s), s.axes["objective"]) for s in of_grid(grid)
        ]
        assert len(found) == len(set(found))
        assert set(found) == {
            (method, dataset, share, loss)
            for method in methods
            for dataset in ("cub", "aircraft", "cars")
            for share in (15, 30, 50)
        }


def test_labels_are_drawn_by_the_rule():
    for spec in TRANSFER:
        assert spec.settings["labels"] == {"use": "hash_rule", "percent": percent(spec), "draw": 0}, spec.name
        assert percent(spec) in (15, 30, 50)
    assert not any(spec.settings["labels"] for spec in FIRST if spec.task == "supervised")


def test_only_what_mixes_has_settings_of_an_add_on():
    for spec in FIRST:
        mixed = spec.task != "supervised" and spec.axes["policy"] == "mixup"
        assert bool(spec.settings["addon"]) == mixed, spec.name
    assert {spec.axes["objective"] for spec in MIXED} == {"mce", "dm_ce"}


def test_what_mixup_and_dm_add_in_table_6():
    for spec in of_grid("transfer_mixup"):
        assert spec.settings["addon"] == {**PAIRS, **NO_ASYMMETRY}, spec.name
    for spec in of_grid("transfer_dm"):
        assert spec.settings["addon"] == PAIRS, spec.name


def test_alpha_in_transfer_learning():
    for spec in MIXED:
        assert spec.settings["policy"]["alpha"] == 0.2, spec.name


def test_eta_in_transfer_learning():
    found = {
        (spec.axes["backbone"], spec.axes["objective"], spec.settings["objective"].get("eta"))
        for spec in MIXED
    }
    assert found == {
        *(("resnet18", "dm_ce", 1.0), ("resnet50", "dm_ce", 0.1)),
        *(("resnet18", "mce", None), ("resnet50", "mce", None)),
    }


def test_table_8_has_three_rules_and_two_losses():
    grids = ("strategy_mce", "strategy_dm", "strategy_dm_free")
    found = [
        (percent(s), s.axes["objective"], s.settings["addon"]["rule"], s.settings["addon"]["sides"])
        for grid in grids
        for s in of_grid(grid)
    ]
    six = (
        ("mce", "free", "labelled"),
        ("mce", "at_least_half", "labelled"),
        ("mce", "at_most_half", "labelled"),
        ("dm_ce", "free", "both"),  # without the strategy the pseudo-class is decoupled too
        ("dm_ce", "at_least_half", "labelled"),
        ("dm_ce", "at_most_half", "labelled"),
    )
    assert sorted(found) == sorted((share, *one) for share in (15, 30, 50) for one in six)
    for spec in (spec for grid in grids for spec in of_grid(grid)):
        others = {key: value for key, value in PAIRS.items() if key not in ("rule", "sides")}
        assert {key: spec.settings["addon"][key] for key in others} == others, spec.name


def test_table_8_is_self_tuning_on_cub():
    grids = ("strategy_bare", "strategy_mce", "strategy_dm", "strategy_dm_free")
    specs = [spec for grid in grids for spec in of_grid(grid)]
    assert {(spec.axes["method"], *place(spec)) for spec in specs} == {("self_tuning", "cub", "resnet18")}
    assert sorted(percent(spec) for spec in of_grid("strategy_bare")) == [15, 30, 50]
    assert not any(spec.settings["addon"] for spec in of_grid("strategy_bare"))


def test_table_s7_leaves_unlabelled_images_out():
    specs = of_grid("transfer_labelled")
    for spec in specs:
        unlabelled = spec.settings["addon"]["unlabelled"]
        assert spec.settings["addon"] == {**PAIRS, "unlabelled": unlabelled}, spec.name
        assert unlabelled == (spec.name in FULL.grids["transfer_dm"]), spec.name
    found = [
        (s.axes["method"], s.axes["dataset"], percent(s), s.settings["addon"]["unlabelled"]) for s in specs
    ]
    assert sorted(found) == [
        (method, dataset, share, unlabelled)
        for method in ("co_tuning", "fine_tuning")
        for dataset in ("aircraft", "cars", "cub")
        for share in (15, 30, 50)
        for unlabelled in (False, True)
    ]


def test_only_co_tuning_is_taught_a_relationship():
    for spec in FULL.runs.values():
        assert (spec.relation is not None) == (spec.axes["method"] == "co_tuning"), spec.name
    taught = [spec for spec in FULL.runs.values() if spec.relation is not None]
    # The constant is that of ResNet-50's first weights.
    assert {spec.axes["backbone"] for spec in taught} == {"resnet50"}
    for spec in taught:
        assert spec.relation is not None
        assert spec.relation.settings["relation"] == RELATION, spec.name


def test_seeds_and_mixtures_share_a_relationship():
    found = {spec.relation.name for spec in FULL.runs.values() if spec.relation is not None}
    assert found == {
        f"relation/{dataset}/resnet50/percent={share}/s0"
        for dataset in ("cub", "aircraft", "cars")
        for share in (15, 30, 50)
    }


@pytest.mark.parametrize("tier", ["embedded", "smoke"])
def test_small_tiers_have_networks_that_no_constant_is_known_of(tier):
    grid = paper(tier)
    relations = [spec.relation for spec in grid.runs.values() if spec.relation is not None]
    assert {relation.settings["relation"]["source_scale"] for relation in relations} == {1.0}


SEMI = [spec for spec in FIRST if spec.task == "semi"]
SEMI_MIXED = [spec for spec in SEMI if spec.axes["policy"] == "mixup"]
COUNTS = {"cifar10": (250, 4000), "cifar100": (400, 2500, 10_000)}
REDUCED_COUNTS = {"cifar10": (250,), "cifar100": (400, 2500)}


def count(spec: RunSpec) -> int:
    return spec.settings["labels"]["count"]


def test_semi_supervised_methods_have_their_constants():
    assert {spec.axes["method"] for spec in SEMI} == set(SEMI_METHODS)
    for spec in SEMI:
        method = spec.axes["method"]
        assert spec.settings["method"] == {"use": f"semi/{method}", **SEMI_METHODS[method]}, spec.name


def test_semi_supervised_pixels_are_torchssls_levels():
    levels = {
        "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
        "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    }
    for spec in SEMI:
        for key, expected in zip(("mean", "std"), levels[spec.axes["dataset"]], strict=True):
            found = [255 * value for value in spec.settings["recipe"][key]]
            assert found == pytest.approx(expected, abs=2e-6), spec.name


def test_semi_supervised_labels_are_torchssls_draw():
    for spec in SEMI:
        assert spec.settings["labels"] == {"use": "balanced", "count": count(spec)}, spec.name
        assert count(spec) % spec.settings["dataset"]["classes"] == 0


def rows_of(
    prefix: str, counts: dict[str, tuple[int, ...]], methods: tuple[str, ...]
) -> list[tuple[str, str, str, int, str]]:
    """Return what the grids of a table hold: every row with every network and count of its data set."""
    rows = {"": ("ce", methods), "_mixup": ("mce", ("fixmatch",)), "_dm": ("dm_ce", ("mixmatch", "fixmatch"))}
    expected, found = [], []
    for dataset, labels in counts.items():
        network = "wrn28_8" if dataset == "cifar100" and prefix == "semi" else "wrn28_2"
        for part, (loss, own) in rows.items():
            found += [
                (s.axes["method"], *place(s), count(s), s.axes["objective"])
                for s in of_grid(f"{prefix}_{dataset}{part}")
            ]
            expected += [(method, dataset, network, n, loss) for method in own for n in labels]
    assert sorted(found) == sorted(expected)
    return found


def test_the_rows_of_table_7():
    assert len(rows_of("semi", COUNTS, tuple(SEMI_METHODS))) == 10 * 5


def test_the_rows_of_table_s8():
    methods = ("supervised_only", "mixmatch", "fixmatch")
    assert len(rows_of("reduced", REDUCED_COUNTS, methods)) == 6 * 3
    assert not REDUCED & set(FULL.table_runs(FULL.tables["table7"]))


def test_table_s8_is_table_7_but_for_steps_and_network():
    for name in REDUCED:
        reduced = FULL.runs[name]
        cell = reduced.cell.removesuffix("/steps=131072")
        whole = FULL.runs[f"{cell.replace('cifar100/wrn28_2', 'cifar100/wrn28_8')}/s{reduced.seed}"]
        for section, settings in reduced.settings.items():
            expected = dict(whole.settings[section])
            if section == "recipe":
                expected["steps"] = 2**17
            if section == "backbone":
                expected["widen"] = 2
            assert settings == expected, (name, section)


def test_what_mixup_and_dm_add_in_table_7():
    for spec in SEMI_MIXED:
        rule = NO_ASYMMETRY if spec.axes["objective"] == "mce" else {}
        host = AS_FIXMATCH if spec.axes["method"] == "fixmatch" else {}
        assert spec.settings["addon"] == {**PAIRS, **host, **rule}, spec.name
    found = {(s.axes["method"], s.axes["objective"]) for s in SEMI_MIXED}
    assert found == {("fixmatch", "mce"), ("fixmatch", "dm_ce"), ("mixmatch", "dm_ce")}


def test_alpha_and_eta_in_semi_supervised_learning():
    for spec in SEMI_MIXED:
        eta = 0.1 if spec.axes["objective"] == "dm_ce" else None
        assert spec.settings["policy"]["alpha"] == 0.2, spec.name
        assert spec.settings["objective"].get("eta") == eta, spec.name


@pytest.mark.parametrize(
    ("tier", "cifar10", "cifar100"), [("embedded", {20}, set()), ("smoke", {20, 100}, {100, 200, 400})]
)
def test_small_tiers_have_labels_for_their_images(tier, cifar10, cifar100):
    grid = paper(tier)
    semi = [spec for spec in grid.runs.values() if spec.task == "semi"]
    assert {count(spec) for spec in semi if spec.axes["dataset"] == "cifar10"} == cifar10
    assert {count(spec) for spec in semi if spec.axes["dataset"] == "cifar100"} == cifar100
    for spec in semi:
        assert spec.settings["dataset"]["image_size"] == 8
        network = {"use": "wideresnet", "depth": 10, "widen": 1, "preact_quirk": True, "norm_momentum": 0.1}
        assert spec.settings["backbone"] == network, spec.name
        assert spec.settings["recipe"]["steps"] <= 601
