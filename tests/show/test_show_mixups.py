"""The gallery of mixed pictures: what it shows is what the policies return, and its red number is true."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dmix import cli
from dmix.backbones.backbone import Backbone, HiddenMix
from dmix.data.embedded import masks
from dmix.data.sets.dataset import Dataset
from dmix.data.views.unchanged import Unchanged
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import weights_beside
from dmix.objectives.mce import mce
from dmix.policies.policy import Context, Draws, Mixed, Policy
from dmix.show import figure
from dmix.show.draws import PairedDraws
from dmix.show.mixups import PAIRS, SEED, Column, Gallery, choose_pairs, gallery, mix_pairs
from dmix.show.objects import object_cover, own_share
from dmix.show.policies import Built, build, choose_run
from dmix.show.rows import Rows
from project import POLICIES, Project, real_grid

RUNS, DATA = Path("results/smoke/records"), Path("data")
PLAIN = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
CUTMIX = "supervised/cifar100/resnet18/cutmix/mce/s0"


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without finished runs, as the current folder."""
    monkeypatch.chdir(project.path)
    return project.path


def shown(dataset: str = "cifar100", lam: float = 0.6) -> Gallery:
    return gallery(load_grid("smoke"), dataset, lam, RUNS, DATA)


def built(policy: Policy) -> Built:
    context = Context(Backbone(), mce, step=0, total_steps=1, pixels=lambda images: images)
    return Built(policy, context, trained=False)


def small_batch(known: bool = True) -> Rows:
    """Two pairs of images of 4 x 6 pixels, whose objects cover parts of pixels."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (4, 3, 4, 6), dtype=np.uint8)
    cover = rng.random((4, 4, 6), dtype=np.float32)
    return Rows(images, np.array([7, 1, 4, 2]), cover if known else None, "mask" if known else "")


# The pairs and the draws


def test_neighbours_are_partners_and_beta_is_lam():
    draws = PairedDraws(0, 0.3)
    assert draws.permutation(6).tolist() == [1, 0, 3, 2, 5, 4]
    assert draws.permutation(3).tolist() == [1, 0, 2]
    assert draws.permutation(np.array([5, 8])).tolist() == [8, 5]
    assert draws.beta(0.2, 0.2) == 0.3
    assert draws.beta(0.2, 0.2, size=2).tolist() == [0.3, 0.3]
    assert draws.random() == np.random.Generator(np.random.PCG64(0)).random()


def test_pairs_are_test_images_of_different_classes(here):
    grid = load_grid("smoke")
    settings = grid.runs[CUTMIX].settings["dataset"]
    dataset = load_dataset(grid, CUTMIX)
    batch = choose_pairs(dataset, DATA, Unchanged(), PAIRS)
    assert batch.images.shape == (2 * PAIRS, 3, settings["image_size"], settings["image_size"])
    assert len(set(batch.labels.tolist())) == 2 * PAIRS
    test = dataset.splits["test"]
    for image, label in zip(batch.images, batch.labels, strict=True):
        first = test.labels.tolist().index(label)
        assert (test.images[first] == image).all()


def load_dataset(grid, name) -> Dataset:
    from dmix.engine.parts import load_dataset

    return load_dataset(grid.runs[name], DATA)


# What a column shows


def test_every_column_has_the_same_pairs_and_the_policys_own_lam(here):
    found = shown()
    assert [column.title for column in found.columns] == ["Mixup", "CutMix"]
    labels = found.batch.labels.tolist()
    for column in found.columns:
        assert [picture.classes for picture in column.pictures] == list(
            zip(labels[::2], labels[1::2], strict=True)
        )
    mixup, cutmix = found.columns
    a, b = (found.batch.images[side::2].transpose(0, 2, 3, 1) / 255 for side in (0, 1))
    for row, picture in enumerate(mixup.pictures):
        assert picture.lam == pytest.approx(0.6)
        np.testing.assert_allclose(picture.pixels, 0.6 * a[row] + 0.4 * b[row], atol=1e-5)
    for row, picture in enumerate(cutmix.pictures):
        own = np.isclose(picture.pixels, a[row], atol=1e-5).all(2)
        partners = np.isclose(picture.pixels, b[row], atol=1e-5).all(2)
        assert (own | partners).all()
        assert picture.lam == pytest.approx(1 - (partners & ~own).mean(), abs=0.02)  # equal pixels are rare
        assert picture.lam != pytest.approx(0.6)  # corrected: the drawn one is not the share of pixels


def test_lam_is_the_one_that_the_policy_returns(here):
    grid = load_grid("smoke")
    dataset = load_dataset(grid, CUTMIX)
    batch = choose_pairs(dataset, DATA, Unchanged(), PAIRS)
    run = build(grid, CUTMIX, dataset, RUNS)
    recipe = grid.runs[CUTMIX].settings["recipe"]
    pictures = mix_pairs(run, batch, recipe, 0.37)
    draws = Draws(PairedDraws(SEED, 0.37), torch.Generator().manual_seed(SEED))
    images = torch.zeros(batch.images.shape)
    mixed = run.policy.mix(images, torch.from_numpy(batch.labels), draws, run.context)
    assert [picture.lam for picture in pictures] == mixed.lam[::2].tolist()


def test_the_figure_prints_what_the_gallery_holds(here):
    found = shown()
    axes = figure.draw(found).axes
    columns = 2 + len(found.columns)
    assert [axis.get_title() for axis in axes[:columns]] == ["own image", "partner", "Mixup", "CutMix"]
    for row in range(PAIRS):
        own, partner, *mixed = axes[row * columns : (row + 1) * columns]
        a, b = (int(found.batch.labels[2 * row + side]) for side in (0, 1))
        assert [text.get_text() for text in own.texts] == [f"class {a}"]
        assert [text.get_text() for text in partner.texts] == [f"class {b}"]
        for axis, image in zip((own, partner), found.batch.images[2 * row : 2 * row + 2], strict=True):
            assert (axis.images[0].get_array() == image.transpose(1, 2, 0)).all()
        for axis, column in zip(mixed, found.columns, strict=True):
            lam, share = column.pictures[row].lam, column.pictures[row].share
            assert [text.get_text() for text in axis.texts] == [
                f"λ {lam:.2f}",
                f"object {share:.2f}",
                f"{a}: {lam:.2f}  {b}: {1 - lam:.2f}",
            ]
            (drawn,) = axis.images
            assert (drawn.get_array() == column.pictures[row].pixels).all()
            assert drawn.get_interpolation() == "nearest"


def test_data_without_masks_have_no_red_number(here):
    found = shown("cifar10")
    assert found.batch.cover is None
    drawn = figure.draw(found)
    assert not [text for axis in drawn.axes for text in axis.texts if "object" in text.get_text()]
    assert "Red" not in drawn.get_supxlabel()
    assert "Red" in figure.draw(shown()).get_supxlabel()


class Hidden(Policy):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def mix(self, images, labels, draws, context):
        partner = torch.from_numpy(draws.host.permutation(len(labels)))
        lam = torch.full(labels.shape, 0.25)
        return Mixed(images, labels, labels[partner], lam, hidden=HiddenMix(self.layer, partner, lam))


def test_mixing_of_hidden_states_shows_the_input_and_says_where():
    batch = small_batch()
    own = batch.images[0].transpose(1, 2, 0) / 255
    (deep, _), (flat, _) = (mix_pairs(built(Hidden(layer)), batch, PLAIN, 0.5) for layer in (2, 0))
    assert deep.stage == 2
    assert math.isnan(deep.share)
    np.testing.assert_allclose(deep.pixels, own, atol=1e-6)
    assert flat.stage == 0
    np.testing.assert_allclose(
        flat.pixels, 0.25 * own + 0.75 * batch.images[1].transpose(1, 2, 0) / 255, atol=1e-6
    )
    a, b = batch.cover[0].sum(), batch.cover[1].sum()
    assert flat.share == pytest.approx(0.25 * a / (0.25 * a + 0.75 * b))


def test_the_figure_says_where_hidden_states_are_mixed():
    batch = small_batch()
    columns = [Column(f"{stage}", mix_pairs(built(Hidden(stage)), batch, PLAIN, 0.5)) for stage in (0, 2)]
    axes = figure.draw(Gallery("subject", batch, tuple(columns), ())).axes
    notes = [[text.get_text() for text in axis.texts if "mixed after" in text.get_text()] for axis in axes]
    assert notes == [[], [], [], ["mixed after\nstage 2"]] * 2


class Own(Policy):
    """Pairs rows with a rolled batch, whatever the draws say, and mixes them with a given lam."""

    def __init__(self, lam):
        super().__init__()
        self.lam = lam

    def mix(self, images, labels, draws, context):
        lam = torch.full(labels.shape, self.lam)
        return Mixed(images, labels, labels.roll(1), lam)


def test_a_policy_with_pairs_of_its_own_is_no_column():
    with pytest.raises(DmixError, match="elsewhere"):
        mix_pairs(built(Own(0.5)), small_batch(), PLAIN, 0.5)
    assert len(mix_pairs(built(Own(1.0)), small_batch(), PLAIN, 0.5)) == 2  # unmixed: nobody's partner


# The share of the own object


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_the_share_is_a_count_over_pixels(here, policy):
    grid = load_grid("smoke")
    name = CUTMIX.replace("cutmix", policy)
    dataset = load_dataset(grid, name)
    batch = choose_pairs(dataset, DATA, Unchanged(), PAIRS)
    run = build(grid, name, dataset, RUNS)
    pictures = mix_pairs(run, batch, grid.runs[name].settings["recipe"], 0.6)
    draws = Draws(PairedDraws(SEED, 0.6), torch.Generator().manual_seed(SEED))
    images = torch.zeros(batch.images.shape)
    weight = run.policy.mix(images, torch.from_numpy(batch.labels), draws, run.context).mask
    height, width = images.shape[2:]
    weight = weight.float().expand(-1, 1, height, width)
    # The masks as they were drawn, 2 x 2 of their pixels for one of the image.
    drawn = masks.read(DATA / "embedded/cifar-100-python", "test")
    labels = dataset.splits["test"].labels.tolist()
    for row, picture in zip(range(0, 2 * PAIRS, 2), pictures, strict=True):
        visible = [0.0, 0.0]
        for y, x in np.ndindex(height, width):
            for side in (0, 1):
                mask = drawn[labels.index(batch.labels[row + side])]
                cover = sum(bool(mask[2 * y + dy, 2 * x + dx]) for dy, dx in np.ndindex(2, 2)) / 4
                w = float(weight[row, 0, y, x])
                visible[side] += cover * (w if side == 0 else 1 - w)
        assert picture.share == pytest.approx(visible[0] / sum(visible), rel=1e-4)


def leaf(batch: Rows) -> torch.Tensor:
    return (torch.from_numpy(batch.images) / 255).requires_grad_()


def test_the_share_follows_pixels_that_a_policy_moves():
    """Every second pixel of the partner, put into the upper left corner: a naive walk over the picture."""
    batch = small_batch()
    images, cover = leaf(batch), torch.from_numpy(batch.cover)
    mixed = images.clone()
    mixed[0, :, :2, :3] = images[1, :, ::2, ::2]
    own = partner = 0.0
    for y, x in np.ndindex(4, 6):
        if y < 2 and x < 3:
            partner += float(cover[1, 2 * y, 2 * x])
        else:
            own += float(cover[0, y, x])
    assert own_share(mixed, images, cover, 0) == pytest.approx(own / (own + partner), rel=1e-5)
    assert own_share(mixed, images, cover, 1) == pytest.approx(1.0)


def test_the_share_is_not_known_where_pixels_have_no_weights():
    batch = small_batch()
    images, cover = leaf(batch), torch.from_numpy(batch.cover)
    swapped = images[[1, 0, 3, 2]]
    assert own_share(0.5 * images + 0.5 * swapped, images, cover, 0) == pytest.approx(
        float(cover[0].sum() / cover[:2].sum())
    )
    assert math.isnan(own_share((0.5 * images + 0.5 * swapped).detach(), images, cover, 0))
    assert math.isnan(own_share(images * swapped, images, cover, 0))
    depends = images.mean()  # a weight that depends on the images, and is no constant of the graph
    assert math.isnan(own_share(depends * images + (1 - depends) * swapped, images, cover, 0))
    held = depends.detach()
    assert not math.isnan(own_share(held * images + (1 - held) * swapped, images, cover, 0))
    assert math.isnan(own_share(images + 0, images, torch.zeros_like(cover), 0))  # no object to be seen


class Peak(Policy):
    """Keeps the own image above the brightest row, which it looks up in numpy."""

    def mix(self, images, labels, draws, context):
        partner = torch.from_numpy(draws.host.permutation(len(labels)))
        peak = [int(np.asarray(image).sum((0, 2)).argmax()) for image in images]
        peak_again = images.sum((1, 3)).numpy().argmax(1).tolist()
        assert peak == peak_again
        above = torch.arange(images.shape[2]).view(1, 1, -1, 1) < torch.tensor(peak).view(-1, 1, 1, 1)
        lam = torch.tensor(peak) / images.shape[2]
        return Mixed(torch.where(above, images, images[partner]), labels, labels[partner], lam)


def test_a_policy_may_decide_in_numpy():
    batch = small_batch()
    for row, picture in zip((0, 2), mix_pairs(built(Peak()), batch, PLAIN, 0.5), strict=True):
        peak = int(batch.images[row].sum((0, 2), dtype=np.int64).argmax())
        own, partner = batch.cover[row, :peak].sum(), batch.cover[row + 1, peak:].sum()
        assert picture.share == pytest.approx(own / (own + partner), rel=1e-5)


def test_cover_is_known_for_the_procedural_set_alone(here):
    grid = load_grid("smoke")
    dataset = load_dataset(grid, CUTMIX)
    cover = object_cover(dataset, "test", 16, DATA)
    drawn = masks.read(DATA / "embedded/cifar-100-python", "test")
    assert cover.shape == (400, 16, 16)
    assert cover[5, 7, 9] == drawn[5, 14:16, 18:20].mean()
    assert 0.1 < cover.mean() < 0.25
    some = np.array([7, 5, 7])
    assert np.array_equal(object_cover(dataset, "test", 16, DATA, some), cover[some])
    assert object_cover(load_dataset(grid, CUTMIX.replace("cifar100", "cifar10")), "test", 16, DATA) is None
    real = Dataset(dataset.name, "real", dataset.classes, dataset.splits)
    assert object_cover(real, "test", 16, DATA) is None


def test_image_files_are_shown_through_the_runs_view_with_their_boxes(embedded_data, tmp_path):
    """CUB is files of many sizes; Mixup shows lam of the own box and 1 - lam of the partner's."""
    found = gallery(real_grid("embedded"), "cub", 0.6, tmp_path, embedded_data, pairs=2)
    assert found.batch.known == "box"
    assert found.batch.images.shape == (4, 3, 32, 32)
    assert "its bounding box" in figure.draw(found).get_supxlabel()
    titles = [column.title for column in found.columns]
    assert titles[:2] == ["Mixup", "CutMix"]
    assert "AutoMix\n(untrained)" in titles
    size = found.batch.cover.sum((1, 2))
    for pair, picture in enumerate(found.columns[0].pictures):
        own, partner = 0.6 * size[2 * pair], 0.4 * size[2 * pair + 1]
        assert picture.share == pytest.approx(own / (own + partner), rel=1e-4)
    for column in found.columns:
        for picture in column.pictures:
            assert (math.isnan(picture.share) and picture.stage > 0) or 0 <= picture.share <= 1


# The verb


def run(*arguments: str) -> int:
    return cli.main(["show", "mixups", "--tier", "smoke", *arguments])


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_equal_galleries_are_equal_bytes(here, capsys, suffix):
    files = [here / f"{number}.{suffix}" for number in range(3)]
    for file, lam in zip(files, ("0.6", "0.6", "0.2"), strict=True):
        assert run("--dataset", "cifar100", "--lam", lam, "--out", str(file)) == 0
    first, second, other = (file.read_bytes() for file in files)
    assert first == second
    assert first != other
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
    assert b"Date" not in first


def test_it_writes_beside_the_tiers_results_and_names_what_is_left_out(here, capsys):
    assert run("--dataset", "cifar10") == 0
    assert capsys.readouterr().out.splitlines() == [
        *[line for line in left_out_lines() if line],
        "results/smoke/show/mixups-cifar10.png",
    ]
    assert [path.name for path in (here / "results/smoke/show").iterdir()] == ["mixups-cifar10.png"]


def left_out_lines() -> list[str]:
    """What must be said of every mixing policy of the small params.yaml but Mixup and CutMix."""
    policies = load_grid("smoke").params.policies
    lines = []
    for key, entry in policies.items():
        if key == "ghost":
            lines.append("left out: Ghost: not yet implemented, it needs dmix/policies/ghost.py")
        elif entry.kind != "none" and key not in ("mixup", "cutmix"):
            lines.append(f"left out: {entry.title}: no grid has it on cifar10")
    return lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "cifar11"), "there is no data set named 'cifar11'"),
        (("--dataset", "cifar10", "--lam", "1.5"), "lam is 1.5, and must be in 0..1"),
        (("--dataset", "cifar10", "--lam", "nan"), "lam is nan"),
        (("--dataset", "cifar10", "--out", "a.jpg"), "must end in .png or .pdf"),
    ],
)
def test_wrong_arguments_are_refused(here, capsys, arguments, message):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (here / "results").exists()


def test_missing_data_are_named_with_the_way_out(here, capsys):
    (here / "data").unlink()
    assert run("--dataset", "cifar100") == 2
    message = capsys.readouterr().err
    assert "cifar-100-python" in message
    assert "dmix data embed" in message


def test_a_data_set_that_nothing_mixes(here, capsys):
    params = here / "params.yaml"
    text = params.read_text().replace(POLICIES, "policy: vanilla")
    params.write_text(text.replace("objective: {group: softmax}", "objective: ce"))
    assert run("--dataset", "cifar10") == 2
    assert "no grid of params.yaml mixes the images of cifar10" in capsys.readouterr().err


# Finished runs


@pytest.fixture(scope="session")
def learner(tmp_path_factory, embedded_data) -> tuple[Project, dict]:
    """A project with a user's policy that mixes as its network says; what is shown around training."""
    project = Project.create(tmp_path_factory.mktemp("show") / "project", embedded_data)
    (project.path / "src/dmix/policies/learner.py").write_text(LEARNER)
    params = project.path / "params.yaml"
    text = params.read_text().replace(POLICIES, "policy: [mixup, learner]")
    params.write_text(
        text.replace(
            "\npolicies:\n",
            "\npolicies:\n  learner: {title: Learner, kind: dynamic, family: cutting, alpha: 1.0}\n",
        )
    )
    done = project.run(sys.executable, "-c", SHOW_TRAIN_SHOW)
    assert done.returncode == 0, done.stdout + done.stderr
    return project, json.loads(done.stdout.splitlines()[-1])


LEARNER = '''
from typing import Annotated

import torch
from annotated_types import Gt

from dmix.policies.draw import draw_partner
from dmix.policies.policy import Mixed, Policy
from dmix.part import part


@part
class Learner(Policy):
    """lam is what the network has learned of the first channel's scale."""

    def __init__(self, *, alpha: Annotated[float, Gt(0)]):
        super().__init__()

    def mix(self, images, labels, draws, context):
        partner = torch.from_numpy(draw_partner(draws.host, len(labels), False))
        lam = next(context.model.parameters()).detach().flatten()[0].sigmoid().expand(len(labels))
        weight = lam.view(-1, 1, 1, 1)
        return Mixed(weight * images + (1 - weight) * images[partner], labels, labels[partner], lam)
'''

SHOW_TRAIN_SHOW = """
import json
from pathlib import Path
from dmix.grid.expand import load_grid
from dmix.job.options import Options
from dmix.job.train import train
from dmix.show.mixups import gallery

def lams():
    found = gallery(grid, "cifar10", 0.6, Path("results/smoke/records"), Path("data"))
    lams = {column.title: [picture.lam for picture in column.pictures] for column in found.columns}
    return lams, found.left_out

grid = load_grid("smoke")
before = lams()
train(grid, "supervised/cifar10/resnet18/learner/dm_ce/s0", Options("cpu"))
after = lams()
(weights,) = Path("results/smoke/weights").rglob("weights.safetensors")
whole = weights.read_bytes()
weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
damaged = lams()
weights.write_bytes(whole)
print(json.dumps([before, after, damaged]))
"""


def weights_of(project: Project) -> Path:
    (path,) = project.path.glob(
        "results/smoke/weights/supervised/cifar10/resnet18/learner/dm_ce/*/weights.safetensors"
    )
    return path


@pytest.mark.slow
def test_a_users_policy_joins_and_is_shown_as_its_finished_run_left_it(learner):
    import safetensors.torch

    project, ((before, _), (after, _), _) = learner
    assert set(before) == {"Learner\n(untrained)", "Mixup"}
    assert set(after) == {"Learner", "Mixup"}
    first = safetensors.torch.load_file(weights_of(project))["model.stem.0.weight"].flatten()[0]
    assert after["Learner"] == pytest.approx([float(first.sigmoid())] * PAIRS)
    assert before["Learner\n(untrained)"] != pytest.approx(after["Learner"])
    assert after["Mixup"] == before["Mixup"]


def test_a_finished_run_is_preferred_for_a_dynamic_policy_alone(here):
    grid = load_grid("smoke")
    assert choose_run(grid, "cifar100", "cutmix", RUNS) == CUTMIX
    other = CUTMIX.replace("resnet18", "resnext50").replace("mce", "dm_ce")
    for root, name in ((RUNS, "record.json"), (weights_beside(RUNS), "weights.safetensors")):
        path = root / grid.folders[other] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert choose_run(grid, "cifar100", "cutmix", RUNS) == CUTMIX
    params = Path("params.yaml")
    assert "cutmix: {title: CutMix, kind: static" in params.read_text()
    params.write_text(params.read_text().replace("CutMix, kind: static", "CutMix, kind: dynamic"))
    grid = load_grid("smoke")
    assert choose_run(grid, "cifar100", "cutmix", RUNS) == CUTMIX  # dynamic has other settings: not that run
    finish, weights = (root / grid.folders[other] for root in (RUNS, weights_beside(RUNS)))
    for made in (finish, weights):
        made.mkdir(parents=True, exist_ok=True)
    (finish / "record.json").touch()
    assert choose_run(grid, "cifar100", "cutmix", RUNS) == CUTMIX  # a record without weights
    (weights / "weights.safetensors").touch()
    assert choose_run(grid, "cifar100", "cutmix", RUNS) == other
    assert choose_run(grid, "cifar100", "vanilla", RUNS).endswith("/vanilla/ce/s0")
    assert choose_run(grid, "cifar10", "resizemix", RUNS) is None


def test_a_policy_that_cannot_be_built_is_left_out_with_the_reason(learner):
    project, (_, _, (damaged, left_out)) = learner
    assert set(damaged) == {"Mixup"}
    (reason,) = [line for line in left_out if line.startswith("Learner: ")]
    assert f"{weights_of(project).relative_to(project.path)} is damaged" in reason
    assert "train it again" in reason


def test_no_other_verb_pays_for_torch_or_matplotlib(project):
    script = "import sys; from dmix import cli; cli.main(['plan']); print({*HEAVY} & {*sys.modules})"
    done = project.run(sys.executable, "-c", script.replace("HEAVY", "('torch', 'matplotlib')"))
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
