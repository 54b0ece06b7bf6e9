"""The sizes of data sets that appendix A.3 prints, beside those of params.yaml, which loaders check."""

from dmix.grid.expand import load_grid
from project import ROOT

TRAIN_AND_TEST = {
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "tiny_imagenet": (10_000, 10_000),
    "imagenet": (1_281_167, 50_000),
}
IN_ALL = {"cub": 11_788, "aircraft": 10_000}


def test_one_printed_size_is_wrong():
    sets = load_grid("full", ROOT / "params.yaml", thorough=False).params.datasets
    ours = {name: sets[name].settings for name in (*TRAIN_AND_TEST, *IN_ALL)}
    wrong = [
        *(n for n, sizes in TRAIN_AND_TEST.items() if (ours[n]["train_size"], ours[n]["test_size"]) != sizes),
        *(n for n, size in IN_ALL.items() if ours[n]["train_size"] + ours[n]["test_size"] != size),
    ]
    assert wrong == ["tiny_imagenet"]
    assert ours["tiny_imagenet"]["train_size"] == 100_000
