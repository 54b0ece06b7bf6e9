"""The options of every command of `dmix`; imports nothing slow."""

from __future__ import annotations

import argparse
from pathlib import Path

from dmix import __version__
from dmix.grid.kinds import kinds


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="dmix",
        description="Reproduce the paper 'Decoupled Mixup for Data-efficient Learning'.",
        epilog="Whole tiers run through Snakemake: snakemake --profile workflows/profiles/local",
    )
    top.add_argument("--version", action="version", version=f"dmix {__version__}")
    traced = argparse.ArgumentParser(add_help=False)
    traced.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verb = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, help: str, *, tier: bool = True) -> argparse.ArgumentParser:  # noqa: A002
        text = help[0].upper() + help[1:] + "."
        sub = verb.add_parser(name, help=help, description=text, parents=[traced])
        sub.set_defaults(verb=name, action="run")
        if tier:
            sub.add_argument("--tier", default="embedded", help="scale to run at (default: embedded)")
        return sub

    def job(sub: argparse.ArgumentParser) -> None:
        """Add the options of everything that the workflow submits."""
        sub.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
        sub.add_argument(
            "--devices",
            default="",
            metavar="LIST",
            help="lease one that no other job has, and wait for it: all, or numbers of GPUs, UUIDs, or "
            "cpu:0,cpu:1 (docs/gpus.md)",
        )
        sub.add_argument(
            "--per-device",
            type=int,
            default=1,
            metavar="K",
            help="with --devices: let K such jobs share one (default: 1)",
        )
        sub.add_argument("--promise", help="what the workflow submitted this job for; refused if it changed")
        sub.add_argument(
            "--attempt",
            type=int,
            default=1,
            metavar="N",
            help="how often the workflow has started this job; one that was refused is refused again at once",
        )

    def job_on_images(sub: argparse.ArgumentParser) -> None:
        """Add the options of jobs that read images and can be forked from the preloaded helper."""
        job(sub)
        sub.add_argument(
            "--workers",
            type=int,
            metavar="N",
            help="processes that decode image files (default: 0 on a CPU; all cores, at most 16, on a GPU)",
        )
        sub.add_argument("--preload", action="store_true", help="fork from a helper that has torch imported")

    def finished(sub: argparse.ArgumentParser) -> None:
        """Add the argument that is a finished run."""
        sub.add_argument(
            "name",
            metavar="NAME|FILE",
            help="a finished run, or weights.safetensors, record.json or the folder of one, wherever it is",
        )

    def choice(sub: argparse.ArgumentParser) -> None:
        """Add the options that choose runs; a run has to have one of the values of each."""
        some = sub.add_argument_group("which runs (default: all of the tier)")
        some.add_argument("--select", metavar="NAME", help="those of a selection that dmix plan saved")
        some.add_argument("--tables", nargs="+", metavar="TABLE", help="such as table1 table5")
        some.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="such as 0 1")
        for axis in ("datasets", "backbones", "policies", "objectives", "methods"):
            some.add_argument(f"--{axis}", nargs="+", metavar="NAME", help=f"{axis} of params.yaml")

    train = add("train", "train one run to its record; a finished one returns at once")
    train.add_argument("name", help="a run, such as supervised/cifar10/resnet18/cutmix/dm_ce/s0")
    job_on_images(train)
    train.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=600.0,
        metavar="S",
        help="save resume state this often (default: 600, chosen in docs/scale.md; 0: after every step)",
    )
    train.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="also write event files")
    train.add_argument(
        "--stage", metavar="FOLDER", help="copy the data set there first: a disk of this machine"
    )

    relate = add("relate", "learn the class relation of pretraining and data set that Co-Tuning needs")
    relate.add_argument("name", help="a class relation; dmix train names a missing one")
    job(relate)

    evaluate = add(
        "evaluate", "evaluate a finished run's weights again and compare with its record, or measure more"
    )
    finished(evaluate)
    job_on_images(evaluate)
    evaluate.add_argument(
        "--on", type=Path, metavar="FOLDER", help="on other images instead: FOLDER/<class>/<image>"
    )
    what = evaluate.add_mutually_exclusive_group()
    for kind in kinds().values():
        what.add_argument(
            f"--{kind.name}", action="store_const", dest="kind", const=kind.name, help=_help(kind.title)
        )

    weights = add("weights", "export a finished run's network for torchvision, timm or plain torch")
    finished(weights)
    weights.add_argument(
        "--to", required=True, choices=["torchvision", "timm", "state_dict"], help="whose names tensors have"
    )
    weights.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .safetensors; a .json beside says how to load it (default: in results/<tier>/networks)",
    )

    resolve = add("resolve", "print a run's settings, and which line of which file set each")
    resolve.add_argument("name")

    add("schema", "print the JSON schema of params.yaml, for editors: params/schema.json", tier=False)

    plan = add("plan", "show what would train, why, and its estimated hours, before anything starts")
    plan.add_argument("--why", action="store_true", help="list every run that would train, with its reason")
    plan.add_argument("--json", action="store_true", help="for scripts")
    plan.add_argument(
        "--check",
        action="store_true",
        help="only say whether all runs that can be trained are finished and here: exit 1 if not",
    )
    plan.add_argument("--runs", action="store_true", help="list the hours and memory of every run")
    plan.add_argument(
        "--gpu", metavar="NAME", help="of reference/gpus.csv: hours of this one, as measured on it or assumed"
    )
    plan.add_argument("--gpus", type=int, default=1, metavar="N", help="days on so many (default: 1)")
    choice(plan)
    plan.add_argument(
        "--budget",
        type=float,
        metavar="HOURS",
        help="choose the runs that decide the most claims in so many hours, and write them as a selection",
    )
    plan.add_argument(
        "--save",
        metavar="NAME",
        help="write the chosen runs as a selection (default with --budget: budget-<H>h)",
    )

    runs = add("runs", "list the names of runs")
    choice(runs)
    runs.add_argument(
        "--weights", action="store_true", help="list the folders of finished ones' weights, for dvc pull"
    )
    runs.add_argument("--state", nargs="+", metavar="STATE", help="only those that are missing, failed, ...")

    measure = add("measure", "measure images/s, memory and cold start of training steps: results/speed.csv")
    choice(measure)
    measure.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    measure.add_argument(
        "--seconds", type=float, default=5.0, metavar="S", help="time steps for so long (default: 5)"
    )
    measure.add_argument(
        "--together",
        nargs="+",
        type=int,
        default=[1],
        metavar="K",
        help="numbers of runs that share the device (default: 1)",
    )
    measure.add_argument("--again", action="store_true", help="also what this device was measured on before")

    status = add("status", "show what is done, running, failed and missing, by table")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.add_argument(
        "--once", action="store_true", help="on a terminal, do not stay while runs are in progress"
    )
    status.add_argument(
        "--since",
        metavar="TIME",
        help="list runs that finished since then, and failures since then alone: 90m, 12h, 3d, or a date",
    )
    status.add_argument("--select", metavar="NAME", help="only the runs of a selection of dmix plan")

    claims = add("claims", "show which claims of the paper the records support, and what would decide others")
    claims.add_argument(
        "ids", nargs="*", metavar="ID", help="show all that is known of it (default: list all)"
    )
    claims.add_argument("--json", action="store_true", help="for scripts")
    claims.add_argument("--out", type=Path, metavar="FOLDER", help="write claims.csv, .md, .tex instead")

    curves = add("curves", "draw the learning curves of runs, finished or in progress")
    curves.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="a run, the beginning of names up to a slash (a cell, for its seeds), or a pattern such as "
        "'*/cutmix/*'",
    )
    curves.add_argument(
        "--metric", metavar="COLUMN", help="a column of history.csv, such as loss (default: top-1 accuracy)"
    )
    curves.add_argument(
        "--out", type=Path, metavar="FILE", help="a .png or .pdf (default: draw on the terminal)"
    )

    text = "get data sets and pretrained weights, and check them"
    data = verb.add_parser("data", help=text, description=f"{text[0].upper()}{text[1:]}. See docs/data.md.")
    action = data.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add_action(name: str, help: str) -> argparse.ArgumentParser:  # noqa: A002
        text = help[0].upper() + help[1:] + "."
        sub = action.add_parser(name, help=help, description=text, parents=[traced])
        sub.set_defaults(verb="data", action="bring" if name == "import" else name)
        return sub

    embed = add_action("embed", "write the data sets that ship with dmix below data/embedded/")
    embed.add_argument("names", nargs="*", metavar="NAME", help="data sets (default: all)")
    fetch = add_action("fetch", "download what needs no account, check it, and put it below data/real/")
    fetch.add_argument("names", nargs="+", metavar="NAME", help="a name that dmix doctor lists")
    bring = add_action("import", "check archives or a folder that you have, and put them below data/real/")
    bring.add_argument("name", metavar="NAME", help="a name that dmix doctor lists")
    bring.add_argument("path", type=Path, metavar="PATH", help="an archive, a folder of them, or of images")
    verify = add_action("verify", "read everything and decode every image; damaged ones are named")
    verify.add_argument("names", nargs="+", metavar="NAME", help="a name that dmix doctor lists")
    verify.add_argument("--edition", choices=["real", "embedded"], default="real", help="(default: real)")

    devices = add("devices", "show the devices of this machine, and which job has which", tier=False)
    devices.add_argument(
        "--devices", default="", metavar="LIST", help="as for dmix train (default: all, and what jobs have)"
    )

    doctor = add("doctor", "show what is on this machine and the command for what is missing", tier=False)
    doctor.add_argument("--json", action="store_true", help="for scripts")
    doctor.add_argument(
        "--store",
        nargs="*",
        metavar="PATH",
        help="read all that DVC keeps below PATHs (default: everything): is it whole, in cache and store?",
    )
    doctor.add_argument(
        "--repair", action="store_true", help="with --store: write whole copies over damaged and lost ones"
    )

    table = add(
        "table", "render a table from the records that exist, gaps as gaps; print it beside published numbers"
    )
    table.add_argument("name", help="a table of params.yaml, such as table1")
    table.add_argument("--out", type=Path, help="folder to write to (default: paper_tables/<tier>)")

    ledger = add("ledger", "write the ledger of deviations from the paper as LaTeX")
    ledger.add_argument("--out", type=Path, help="folder to write to (default: paper_tables/<tier>)")

    figure = add("figure", "draw a figure from what exists: PDF, PNG, the numbers behind it, a LaTeX float")
    figure.add_argument("name", help="a figure of params.yaml, such as figure2_right")
    figure.add_argument("--out", type=Path, help="folder to write to (default: paper_tables/<tier>)")

    page = add("page", "write the page of a tier, one file: tables, figures, and the curves of every run")
    page.add_argument("--out", type=Path, metavar="FOLDER", help="(default: results/<tier>/report)")

    report = add("report", "render all tables, all figures and the page from the records that exist")
    report.add_argument("--watch", action="store_true", help="go on as records arrive, until Ctrl-C")

    paper = add("paper", "write all tables and figures as one LaTeX document, and its PDF where LaTeX is")
    paper.add_argument("--out", type=Path, help="folder to write to (default: paper_tables/<tier>)")

    export = add("export", "write a bundle to share: results, tables, figures, document, with their SHA-256")
    export.add_argument(
        "--weights", action="store_true", help="also the weights of every run, which make it large"
    )
    export.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the bundle goes, and FOLDER.tar.gz (default: results/<tier>/export/dmix-<tier>)",
    )

    join = add("join", "bring finished runs of other checkouts, bundles or DVC repositories here, verified")
    join.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a checkout, a bundle of dmix export or its archive, or a git repository with a DVC store",
    )
    join.add_argument("--rev", metavar="COMMIT", help="what the repository's dvc.lock has at this commit")
    join.add_argument("--no-weights", action="store_true", help="take records alone")
    join.add_argument("--dry-run", action="store_true", help="verify and compare, and write nothing")

    show = add("show", "draw the same pairs of images mixed by every policy")
    show.add_argument("what", choices=["mixups"], help="mixups: a grid of pictures, a column for each policy")
    show.add_argument("--dataset", required=True, metavar="NAME", help="a data set of params.yaml")
    show.add_argument(
        "--lam", type=float, default=0.6, metavar="L", help="where a policy draws lam (default: 0.6)"
    )
    show.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .png or .pdf (default: results/<tier>/show/mixups-<dataset>.png)",
    )

    collect = add("collect", "write one line per run to a CSV")
    collect.add_argument("--out", type=Path, help="file to write (default: results/<tier>/frame.csv)")

    summary = add("summary", "write mean scores, verdicts and learning curves for dvc metrics and dvc plots")
    summary.add_argument("--out", type=Path, metavar="FOLDER", help="(default: results/<tier>/summary)")

    publish = add("publish", "copy rendered files that differ to their plain names", tier=False)
    publish.add_argument("sources", nargs="+", type=Path)
    publish.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    publish.add_argument("--stamp", type=Path, metavar="FILE", help="NAME-digest file to leave when done")

    text = "prove that edited code changes no number, so that nothing trains again"
    accept = add("accept", text, tier=False)
    accept.add_argument("--tier", default="smoke", help="whose runs are replayed (default: smoke)")
    accept.add_argument("--since", default="HEAD", metavar="COMMIT", help="the code before (default: HEAD)")
    accept.add_argument("--because", required=True, metavar="TEXT", help="why the code was edited")

    completion = add("completion", "print the completion script of a shell (docs/plan.md)", tier=False)
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    completion.set_defaults(parser=top)

    gc = add("gc", "list what is in no grid any more, and what killed processes left")
    gc.add_argument(
        "--delete", action="store_true", help="delete it, except the resume state of stopped runs"
    )
    gc.add_argument("--stopped", action="store_true", help="with --delete: that too")
    return top


def _help(title: str) -> str:
    """Return a docstring's first line as the help of an option: no capital, no full stop, no format."""
    return (title[0].lower() + title[1:]).rstrip(".").replace("%", "%%")
