"""Bad input is one message that names file, line and key, and exit status 2."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from project import NO_RULES, Project, small_params

PARAMS = small_params()


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1 + needle.startswith("\n")


def rules(*lines: str) -> tuple[str, str]:
    return NO_RULES, "overrides: [" + ", ".join(lines) + "] # ordered"


CASES = {
    "unknown key of a recipe": (
        ("    epochs: 800\n", "    epochs: 800\n    epohcs: 2\n"),
        "epohcs: 2",
        "recipes.cifar.epohcs: unknown key",
    ),
    "unknown key of a section": (
        ("seeds: [0, 1, 2] #", "sedes: 1\nseeds: [0, 1, 2] #"),
        "sedes: 1",
        "sedes: unknown key",
    ),
    "unknown setting of a policy": (
        ("family: interpolation, alpha: 1.0}", "family: interpolation, alhpa: 1.0}"),
        "alhpa: 1.0",
        "policies.mixup.alhpa: unknown key: dmix/policies/mixup.py takes alpha",
    ),
    "value out of range": (
        ("alpha: 0.2, derangement: true", "alpha: -0.2, derangement: true"),
        "alpha: -0.2",
        "policies.cutmix.alpha: Input should be greater than 0",
    ),
    "value of the wrong type": (
        ("batch_size: 100\n", "batch_size: many\n"),
        "batch_size: many",
        "recipes.cifar.batch_size: Input should be a valid integer",
    ),
    "setting missing": (
        ("    weight_decay: 0.0001\n", ""),
        "  cifar100: # Table 1",
        "recipe.weight_decay is set nowhere",
    ),
    "key given twice": (
        ("    epochs: 800\n", "    epochs: 800\n    epochs: 900\n"),
        "epochs: 900",
        "recipes.cifar.epochs: this key is given twice",
    ),
    "unmatched override": (
        rules("{when: {dataset: cifar10, backbone: resnext50}, set: {recipe.lr: 0.2}, why: test}"),
        "\noverrides: [{",
        "overrides.0: this override matches no cell",
    ),
    "fully shadowed override": (
        rules(
            "{when: {dataset: cifar10}, set: {recipe.lr: 0.2}, why: test}",
            "{set: {recipe.lr: 0.3}, why: test}",
        ),
        "\noverrides: [{",
        "overrides.0: this override is fully shadowed",
    ),
    "override of an unknown setting": (
        rules("{set: {recipe.rl: 0.2}, why: test}"),
        "\noverrides: [{",
        "overrides.0.set.recipe.rl: unknown key",
    ),
    "override without its source": (
        rules("{set: {recipe.lr: 0.2}}"),
        "\noverrides: [{",
        "overrides.0.why: Field required",
    ),
    "override that asks for an unknown policy": (
        rules("{when: {policy: cutmx}, set: {recipe.lr: 0.2}, why: test}"),
        "\noverrides: [{",
        "overrides.0.when.policy: there is no policy named 'cutmx'",
    ),
    "impossible cell": (
        (
            "    dataset: cifar10\n    backbone: resnet18\n    policy: vanilla\n    objective: ce",
            "    dataset: cifar10\n    backbone: resnet18\n    policy: vanilla\n    objective: dm_ce",
        ),
        "  cifar10_vanilla:",
        "grids.cifar10_vanilla: impossible cell vanilla x dm_ce",
    ),
    "grid of an unknown data set": (
        (
            "    dataset: cifar10\n    backbone: resnet18\n    policy: vanilla",
            "    dataset: cifar11\n    backbone: resnet18\n    policy: vanilla",
        ),
        "dataset: cifar11",
        "grids.cifar10_vanilla.dataset: there is no dataset named 'cifar11'",
    ),
    "table of an unknown grid": (
        ("grids: [cifar10_vanilla, cifar10]", "grids: [cifar10_vanilla, cifar11]"),
        "grids: [cifar10_vanilla, cifar11]",
        "tables.tableS1.grids: no grid named 'cifar11'",
    ),
    "not YAML": (("methods:\n", "methods: [\n"), None, "not valid YAML"),
}


@pytest.mark.parametrize("case", CASES)
def test_message_names_file_line_and_key(case, expanded, tmp_path):
    edit, needle, message = CASES[case]
    with pytest.raises(DmixError) as caught:
        expanded(edit, small=True)
    assert caught.value.exit_code == 2
    text = (tmp_path / "params.yaml").read_text()
    where = f"{tmp_path / 'params.yaml'}:{line_of(text, needle)}: " if needle else "params.yaml:"
    assert where in str(caught.value)
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_command_line_exits_2_with_the_message(project: Project):
    project.edit("params.yaml", "    epochs: 800\n", "    epochs: 800\n    epohcs: 2\n")
    for command in (["dmix", "plan"], ["snakemake", "--profile", "workflows/profiles/local", "-n"]):
        done = project.run(*command)
        assert done.returncode == (2 if command[0] == "dmix" else 1)
        assert "recipes.cifar.epohcs: unknown key" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_unknown_run_is_named_with_the_nearest(project: Project):
    done = project.dmix("resolve", "supervised/cifar10/resnet18/cutmx/mce/s0")
    assert done.returncode == 2
    assert "did you mean supervised/cifar10/resnet18/cutmix/mce/s0?" in done.stderr
