"""`dmix completion`: prints the completion script of a shell."""

from __future__ import annotations

import argparse

import shtab

# Names of tiers and selections are those of files below the project's folder, which is where dmix is called.
NAMES = {
    "tiers": "cd params/tiers 2>/dev/null && ls | sed -n 's/[.]yaml$//p'",
    "selections": "cd results 2>/dev/null && ls */selections 2>/dev/null | sed -n 's/[.]txt$//p'",
}
OFFER = {
    "bash": """_dmix_{name}() {{ compgen -W "$({command})" -- "$1"; }}""",
    "zsh": """_dmix_{name}() {{ compadd -- ${{(f)"$({command})"}}; }}""",
}
PREAMBLE = {
    shell: "\n".join(offer.format(name=name, command=command) for name, command in NAMES.items())
    for shell, offer in OFFER.items()
}
COMPLETE = {
    "tier": {"bash": "_dmix_tiers", "zsh": "_dmix_tiers"},
    "select": {"bash": "_dmix_selections", "zsh": "_dmix_selections"},
    "on": shtab.DIRECTORY,
    "out": shtab.FILE,
    "path": shtab.FILE,
    "tensorboard": shtab.DIRECTORY,
}
"""Option -> how its value is completed; choices are completed without."""
FINISHED = "NAME|FILE"
"""How `dmix.arguments` shows an argument that is a run or one of its files."""


def run(options: argparse.Namespace) -> int:
    """Print the completion script of all commands and options."""
    _mark(options.parser)
    print(shtab.complete(options.parser, shell=options.shell, preamble=PREAMBLE.get(options.shell, "")))
    return 0


def _mark(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if action.dest in COMPLETE:
            action.complete = COMPLETE[action.dest]  # type: ignore[attr-defined]
        if action.metavar == FINISHED:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _mark(sub)
