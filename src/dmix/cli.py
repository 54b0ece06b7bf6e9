"""The command line `dmix`; its options are in `dmix.arguments`, its commands in `dmix.verbs`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from dmix.arguments import parser
from dmix.environment import settle
from dmix.errors import DmixError
from dmix.job.say import say

CONNECTED = ("s3fs", "sshfs")
"""Modules that talk to a store in a thread of their own, which never ends."""


def command() -> NoReturn:
    """Run one command in the process that was started for it, and end the process with its exit status."""
    status = main()
    if any(name in sys.modules for name in CONNECTED):
        # Python ends such a thread wherever it is. In a native library that is with its lock held, which what
        # is left to do may wait for: the process would never end.
        with suppress(BrokenPipeError, ValueError):  # the reader is gone: as `main` says, no failure
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    raise SystemExit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 success, 1 failure, 2 bad input, 75 again, 130 Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    settle()
    options = parser().parse_args(given)
    try:
        if getattr(options, "preload", False):
            from dmix.job import preload
            from dmix.job.recorded import recorded

            with recorded(options):
                done = preload.run([argument for argument in given if argument != "--preload"])
            if done is not None:
                return done
        # Imported late: a client of the preloaded helper needs none of it.
        if tier := getattr(options, "tier", None):
            from dmix.grid.earlier import move_earlier

            move_earlier(tier, lambda line: say(f"dmix: {line}", sys.stderr))
        verb = importlib.import_module(f"dmix.verbs.{options.verb}")
        status: int = getattr(verb, options.action)(options)
    except DmixError as error:
        if options.debug:
            traceback.print_exc()
        say(f"dmix: {error}", sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of the output (`| head`) is gone, which is no failure.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        say("dmix: interrupted", sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        say(f"dmix: {_told(error, options)}", sys.stderr)
        return 1
    return status


def _told(error: Exception, options: argparse.Namespace) -> str:
    """Return the message about an exception that is no mistake of the user's, as far as dmix knows."""
    from dmix.grid.failure import failure_of
    from dmix.grid.paths import LOG
    from dmix.job.recorded import work_folder

    work = work_folder(options) if options.verb in ("train", "relate", "evaluate") else None
    failure = failure_of(error, Path() if work is None else work / LOG)
    return f"{failure}\n  for the traceback, add --debug" if work is None else str(failure)


if __name__ == "__main__":
    command()
