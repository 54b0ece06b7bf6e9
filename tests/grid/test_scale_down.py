"""What entries say of tiers (`at`), embedded sizes, and the stem and start weights that follow."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.parts import embedded_editions, read_part
from project import NO_RULES

NAME = "supervised/cifar10/resnet18/cutmix/mce/s0"
RECIPE = "\npolicies:\n"
VIEW = "view: {use: resize_crop, shorter_side: 36, size: 32, interpolation: bicubic}, "
FILES = (
    "{epochs: 9, batch_size: 8, lr: 0.1, weight_decay: 0.0, "
    "optimizer: {use: sgd, momentum: 0.9}, schedule: {use: cosine}, "
    "score: last, eval_every: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], "
    "augment: {use: random_resized_crop, size: 32, scale: [0.5, 1.0], interpolation: bicubic, flip: 0.5}, "
    f"{VIEW}stem: imagenet"
)


def recipe(text: str, name: str = "mine") -> tuple[str, str]:
    return RECIPE, f"  {name}: {text}\n{RECIPE}"


def grid(recipe: str = "mine", dataset: str = "cifar10", backbone: str = "resnet18") -> tuple[str, str]:
    return (
        "\ntables:\n",
        f"  mine: {{method: supervised, recipe: {recipe}, dataset: {dataset}, backbone: {backbone}, "
        "policy: manifoldmix, objective: mce}\n\ntables:\n",
    )


def dataset(text: str, name: str = "pets") -> tuple[str, str]:
    return "\nbackbones:\n", f"  {name}: {text}\n\nbackbones:\n"


PETS = dataset("{title: Pets, use: class_folders, classes: 3, train_size: 12, test_size: 6}")
MINE = "supervised/{}/{}/manifoldmix/mce/s0"


def settings(found, dataset="cifar10", backbone="resnet18"):
    return found.runs[MINE.format(dataset, backbone)].settings


def at(old: str, block: str) -> tuple[str, str]:
    return old, f"{old}    at:\n      {block}\n"


CIFAR100 = "    embedded: {train_size: 1400, test_size: 400} # drawn shapes\n"


def test_settings_of_a_tier_hold_there_alone(expanded):
    edit = at(CIFAR100, "smoke: {image_size: 8, recipe.lr: 0.7}")
    before, after = (
        {tier: expanded(*edits, small=True, tier=tier).runs for tier in ("full", "embedded", "smoke")}
        for edits in ((), (edit,))
    )
    for tier in ("full", "embedded"):
        assert {name: spec.digest() for name, spec in after[tier].items()} == {
            name: spec.digest() for name, spec in before[tier].items()
        }
    for name, spec in after["smoke"].items():
        found = (spec.settings["dataset"]["image_size"], spec.settings["recipe"]["lr"])
        assert found == ((8, 0.7) if spec.axes["dataset"] == "cifar100" else (16, 0.1)), name


def test_one_key_names_several_tiers(expanded):
    edit = at(CIFAR100, "smoke, full: {recipe.lr: 0.7}")
    name = NAME.replace("cifar10", "cifar100")
    rates = {
        tier: expanded(edit, small=True, tier=tier).runs[name].settings["recipe"]["lr"]
        for tier in ("full", "embedded", "smoke")
    }
    assert rates == {"full": 0.7, "embedded": 0.1, "smoke": 0.7}


def test_they_come_after_overrides_and_before_those_of_the_tier(expanded):
    rule = "{set: {recipe.lr: 0.3, recipe.weight_decay: 0.3}, why: test}"
    edits = (
        (NO_RULES, f"overrides: [{rule}] # ordered"),
        at(CIFAR100, "full: {recipe.lr: 0.7, optimizer.momentum: 0.7}"),
        (
            "    title: full scale, the paper's settings\n",
            "    title: full scale, the paper's settings\n"
            "    overrides: [{set: {optimizer.momentum: 0.1}, why: test}]\n",
        ),
    )
    found = expanded(*edits, small=True)
    name = NAME.replace("cifar10", "cifar100")
    mine = found.runs[name].settings
    values = (mine["recipe"]["lr"], mine["recipe"]["weight_decay"], mine["optimizer"]["momentum"])
    assert values == (0.7, 0.3, 0.1)
    origin = found.origins(name)["recipe", "lr"].origin
    assert origin == ("datasets", "cifar100", "at", "full", "recipe.lr")
    assert "datasets.cifar100.at.full.recipe.lr" in found.document.where(*origin)


def test_entries_come_after_recipes_and_a_recipe_after_its_base(expanded):
    edits = (
        recipe(
            "{base: cifar, lr: 0.4, at: {smoke: {epochs: 7, optimizer.momentum: 0.2, weight_decay: 0.2}}}"
        ),
        grid(),
        (
            "alpha: 2.0, layers: [0, 1, 2]}",
            "alpha: 2.0, layers: [0, 1, 2], at: {smoke: {optimizer.momentum: 0.6}}}",
        ),
    )
    mine = settings(expanded(*edits, small=True, tier="smoke"))
    keys = ("epochs", "batch_size", "lr", "weight_decay")
    assert [mine["recipe"][key] for key in keys] == [7, 250, 0.4, 0.2]
    assert mine["optimizer"]["momentum"] == 0.6
    assert (mine["dataset"]["image_size"], mine["augment"]["padding"]) == (16, 2)


def test_what_a_base_says_of_a_part_that_is_replaced_is_dropped(expanded):
    crop = "{use: random_resized_crop, size: 32, scale: [0.5, 1.0], interpolation: bicubic, flip: 0.5}"
    found = settings(expanded(recipe(f"{{base: cifar, augment: {crop}}}"), grid(), small=True, tier="smoke"))
    assert (found["augment"]["flip"], found["dataset"]["image_size"]) == (0.5, 16)


def test_embedded_sizes_stand_in_for_the_entrys_own_where_that_edition_is_read(expanded):
    def sizes(*edits, tier):
        found = expanded(*edits, small=True, tier=tier).runs[NAME].settings["dataset"]
        return found["edition"], found["train_size"], found["test_size"]

    assert sizes(tier="full") == ("real", 50000, 10000)
    assert sizes(tier="smoke") == ("embedded", 1000, 250)
    genuine = ("    title: CIFAR-10\n", "    title: CIFAR-10\n    edition: real\n")
    assert sizes(genuine, tier="smoke") == ("real", 50000, 10000)
    here = ("    title: CIFAR-10\n", "    title: CIFAR-10\n    at: {smoke: {edition: real, test_size: 77}}\n")
    assert sizes(here, tier="smoke") == ("real", 50000, 77)


def test_the_folder_follows_from_the_part_or_the_name(expanded):
    found = expanded(recipe(FILES + "}"), PETS, grid(dataset="pets"), small=True)
    assert settings(found, "pets")["dataset"]["folder"] == "pets"
    assert found.runs[NAME].settings["dataset"]["folder"] == "cifar-10-batches-py"
    assert read_part("dataset", "cub").folder("anything") == "CUB_200_2011"


def test_every_embedded_edition_is_known_without_importing_it():
    from dmix.data.embedded.editions import EDITIONS

    assert embedded_editions() == tuple(EDITIONS)


def test_the_stem_is_the_recipes(expanded):
    found = expanded(recipe(FILES + "}"), PETS, grid(dataset="pets"), small=True)
    assert settings(found, "pets")["backbone"]["stem"] == "imagenet"
    assert found.runs[NAME].settings["backbone"]["stem"] == "cifar"
    origin = found.origins(MINE.format("pets", "resnet18"))["backbone", "stem"].origin
    assert origin == ("recipes", "mine", "stem")
    heir = expanded(
        recipe(FILES + "}"), recipe("{base: mine, lr: 0.2}", "heir"), PETS, grid("heir", "pets"), small=True
    )
    assert settings(heir, "pets")["backbone"]["stem"] == "imagenet"


def test_a_backbone_that_says_its_stem_keeps_it(expanded):
    own = ("    weights: weights/resnet18-f37072fd.pth\n", "    stem: imagenet\n")
    assert expanded(own, small=True).runs[NAME].settings["backbone"]["stem"] == "imagenet"


def test_pretrained_is_the_file_of_the_backbone(expanded):
    found = expanded(
        recipe(FILES + ", init: pretrained}"), PETS, grid(dataset="pets", backbone="[resnet18, resnext50]"),
        small=True,
    )  # fmt: skip
    for backbone, file in (("resnet18", "resnet18-f37072fd"), ("resnext50", "resnext50_32x4d-7cdf4587")):
        assert settings(found, "pets", backbone)["recipe"]["init"] == f"weights/{file}.pth"
        origin = found.origins(MINE.format("pets", backbone))["recipe", "init"].origin
        assert origin == ("backbones", backbone, "weights")


def lines(text: str, *needles: str) -> list[int]:
    assert all(text.count(needle) == 1 for needle in needles), needles
    return [text[: text.index(needle)].count("\n") + 1 for needle in needles]


WITHOUT_WEIGHTS = ("    weights: weights/resnet18-f37072fd.pth\n", "")
WRONG = {
    "unknown tier": (
        (at(CIFAR100, "tiny: {image_size: 8}"),),
        ("      tiny: {image_size",),
        "datasets.cifar100.at.tiny: there is no tier named 'tiny'",
    ),
    "unknown tier among several": (
        (at(CIFAR100, "smoke, tiny: {image_size: 8}"),),
        ("      smoke, tiny:",),
        "datasets.cifar100.at.smoke, tiny: there is no tier named 'tiny'",
    ),
    "unknown setting": (
        (at(CIFAR100, "full: {imagesize: 8}"),),
        ("      full: {imagesize",),
        "datasets.cifar100.at.full.imagesize: unknown key: dmix/data/sets/cifar.py takes",
    ),
    "unknown section": (
        (at(CIFAR100, "full: {recipes.lr: 8}"),),
        ("      full: {recipes.lr",),
        "datasets.cifar100.at.full.recipes.lr: unknown setting 'recipes.lr'",
    ),
    "value of the wrong type": (
        (at(CIFAR100, "full: {image_size: small}"),),
        ("      full: {image_size",),
        "datasets.cifar100.at.full.image_size: Input should be a valid integer",
    ),
    "nothing in it": (
        (at(CIFAR100, "full: {}"),),
        ("      full: {}",),
        "datasets.cifar100.at.full: Dictionary should have at least 1 item",
    ),
    "always overridden by another entry": (
        (
            ("    title: CIFAR-10\n", "    title: CIFAR-10\n    at: {full: {recipe.lr: 0.2}}\n"),
            at(CIFAR100, "full: {recipe.lr: 0.2}"),
            ("      smoke: {epochs: 2, batch_size: 250} # a few steps\n", "      full: {lr: 0.3}\n"),
        ),
        ("      full: {lr: 0.3}",),
        "recipes.cifar.at.full: these settings are fully shadowed by later ones",
    ),
    "pretrained weights that the backbone has not": (
        (recipe(FILES + ", init: pretrained}"), PETS, grid(dataset="pets"), WITHOUT_WEIGHTS),
        ("  mine: {epochs", "  resnet18:\n"),
        "recipes.mine.init: wants pretrained weights",
    ),
    "files with a recipe for images in memory": (
        (PETS, grid("cifar", "pets")),
        ("    augment: {use: crop_flip", "  pets: {title"),
        "recipes.cifar.augment.use: the augment crop_flip is for images in memory",
    ),
    "images in memory with a recipe that evaluates files": (
        (recipe(FILES + "}"), grid("mine", "cifar10")),
        ("  mine: {epochs", "  cifar10:\n    title: CIFAR-10"),
        "recipes.mine.view.use: the view resize_crop is for image files",
    ),
    "images in memory with an augmentation of files": (
        (
            recipe(FILES.replace("random_resized_crop, size", "rand_augment, operations: 2, size") + "}"),
            grid("mine", "cifar10"),
        ),
        ("  mine: {epochs", "  cifar10:\n    title: CIFAR-10"),
        "recipes.mine.augment.use: the augment rand_augment is for image files",
    ),
    "files that are evaluated as they are": (
        (recipe(FILES.replace(VIEW, "") + "}"),
         PETS, grid("mine", "pets")),
        ("  mine: {epochs", "  pets: {title"),
        "recipes.mine: the view unchanged is for images in memory",
    ),
    "stem that the backbone has not": (
        (recipe(FILES.replace("stem: imagenet", "stem: large") + "}"), PETS, grid("mine", "pets")),
        ("  mine: {epochs",),
        "recipes.mine.stem: Input should be 'cifar' or 'imagenet'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_its_lines(case, expanded, tmp_path):
    edits, needles, message = WRONG[case]
    with pytest.raises(DmixError) as caught:
        expanded(*edits, small=True)
    path = tmp_path / "params.yaml"
    first, *others = lines(path.read_text(), *needles)
    assert str(caught.value).startswith(f"{path}:{first}: ")
    assert message in caught.value.message
    assert all(f"{path}:{line}: " in caught.value.message for line in others)
