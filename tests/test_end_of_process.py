"""The process of a command ends with its status, whatever the libraries of a store leave behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from project import ROOT


@pytest.mark.parametrize(("arguments", "status"), [(["schema"], 0), (["resolve", "no-such-run"], 2)])
def test_a_process_that_was_connected_ends_without_waiting_for_its_libraries(arguments, status):
    script = """
        import atexit, sys, threading, types
        sys.modules["sshfs"] = types.ModuleType("sshfs")
        atexit.register(threading.Event().wait)  # a lock that nobody releases
        from dmix.cli import command
        command()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    assert done.stdout or done.stderr
