"""Memory that a training step keeps of each image for the backward pass, by network and side of the images.

Counted, not timed: the bytes of all tensors that autograd saves of three images, less those of two, in
float32 on the CPU. Weights are the same for both, so they are not in the difference. Printed as the lines of
reference/activations.csv, for each network of the full tier at its smallest and largest images; written as
CSV beside what that file has.

    python benchmarks/activations.py [--backbones NAME...] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from dmix.engine.parts import load_part
from dmix.grid.expand import load_grid
from dmix.grid.gpus import kind_of
from dmix.grid.memory import read_activations
from dmix.grid.spec import RunSpec
from dmix.grid.work import image_side

COLUMNS = ("backbone", "side", "mb_per_image", "reference")


def main() -> None:
    """Print a line for each network, for small and for large images."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--backbones", nargs="+", metavar="NAME", help="only these")
    options.add_argument("--csv", type=Path)
    given = options.parse_args()
    largest: dict[tuple[str, str], RunSpec] = {}
    for spec in load_grid("full", thorough=False).runs.values():
        key = (spec.axes["backbone"], kind_of(image_side(spec)))
        prefer = min if key[1] == "small" else max  # 32 and 224 pixels
        largest[key] = prefer(largest.get(key, spec), spec, key=image_side)
    print("backbone,side,mb_per_image")
    rows, known = [], read_activations()
    for (backbone, _), spec in largest.items():
        if given.backbones and backbone not in given.backbones:
            continue
        side, counted = image_side(spec), f"{mb_per_image(spec):.2f}"
        print(f"{backbone},{side},{counted}", flush=True)
        rows.append((backbone, side, counted, known[backbone][side]))
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])


def mb_per_image(spec: RunSpec) -> float:
    """Return the MiB that a step of the run's network keeps of each image."""
    return (_kept(spec, 3) - _kept(spec, 2)) / 2**20


def _kept(spec: RunSpec, images: int) -> int:
    """Return the bytes of all storages that autograd saves in a forward pass, each counted once."""
    network = load_part("backbone", spec.settings["backbone"], spec.settings["dataset"]["classes"]).train()
    saved: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    side = image_side(spec)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(torch.zeros(images, 3, side, side))  # kept: what it alone holds would be freed
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values()) if out.requires_grad else 0


if __name__ == "__main__":
    main()
