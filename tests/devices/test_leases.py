"""A device has one job at a time, or as many as share it, and comes back however the job ends."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from dmix.devices import leases
from dmix.devices.leases import Ticket, choose, leased, tickets
from dmix.errors import DmixError

TWO = ("cpu:0", "cpu:1")
numbers = itertools.count()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DMIX_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.01)
    return tmp_path / "leases"


def ask(label: str = "run", wanted: tuple[str, ...] = TWO, share: Fraction = Fraction(1), **more) -> Ticket:
    return Ticket(label, wanted, share, os.getpid(), **{"group": f"alone {next(numbers)}", **more})


def given(number: int, device: str, share: Fraction = Fraction(1)) -> Ticket:
    return Ticket("other", (device,), share, 1, f"other {number}", given=(device,))


# A process that leases a device, says which, and ends when its input does.
HOLDER = """
import os, sys
from fractions import Fraction
from dmix.devices.leases import Ticket, leased
ticket = Ticket("held", tuple(sys.argv[1].split(",")), Fraction(1), os.getpid(), group="own")
with leased(ticket, print) as given:
    if sys.argv[2:]:
        there, here = os.pipe()
        if os.fork() == 0:  # one that lives on, as readers of images may
            os.write(here, b".")
            sys.stdin.read()
            print("the child was alive", flush=True)
            os._exit(0)
        os.read(there, 1)  # until it has started, a fork holds all that its parent does
    print(given[0], flush=True)
    sys.stdin.read()
"""


def start(wanted: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, wanted, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def nobody(line: str) -> None:
    raise AssertionError(f"it waits: {line}")


def test_each_has_a_device_of_its_own(folder):
    with leased(ask("first"), nobody) as first, leased(ask("second"), nobody) as second:
        assert {*first, *second} == {*TWO}
        assert sorted((each.label, each.device) for each in tickets()) == [
            ("first", *first),
            ("second", *second),
        ]
    assert tickets() == []
    assert [path.name for path in folder.iterdir()] == ["turn"]


def test_one_more_waits_until_a_device_is_free():
    told: list[str] = []
    ended: list[tuple[str, ...]] = []

    def third() -> None:
        with leased(ask("third"), told.append) as devices:
            ended.append(devices)

    with leased(ask("first"), nobody) as first:
        with leased(ask("second"), nobody):
            waiting = threading.Thread(target=third)
            waiting.start()
            while not told:
                time.sleep(0.01)
            assert told == ["third: waiting for a device: cpu:0, cpu:1 are in use"]
            assert not ended
            assert [each.label for each in tickets() if not each.device] == ["third"]
        waiting.join(timeout=60)
        assert ended
        assert ended != [first]


@pytest.mark.parametrize("child", [(), ("with a child",)])
def test_a_killed_job_keeps_no_lease(child):
    process = start("cpu:0", *child)
    assert process.stdout.readline() == "cpu:0\n"
    (ticket,) = tickets()
    assert (ticket.pid, ticket.device) == (process.pid, "cpu:0")
    process.send_signal(signal.SIGSTOP)  # one that hangs keeps it
    assert len(tickets()) == 1
    process.kill()
    process.wait()
    with leased(ask(wanted=("cpu:0",)), nobody) as again:
        assert again == ("cpu:0",)
    process.stdin.close()
    assert process.stdout.read() == ("the child was alive\n" if child else "")
    process.stdout.close()


def test_many_at_once_never_meet():
    """Sixteen threads with shares of all sizes; each device's sum of shares is checked at each start."""
    sums: Counter[str] = Counter()
    lock, most, problems = threading.Lock(), [Fraction(0)], []
    draw = random.Random(0)

    def work(share: Fraction, pause: float) -> None:
        with leased(ask(share=share), lambda line: None) as (device,):
            with lock:
                sums[device] += share
                most[0] = max(most[0], sums[device])
                if sums[device] > 1:
                    problems.append((device, sums[device]))
            time.sleep(pause)
            with lock:
                sums[device] -= share

    threads = [
        threading.Thread(target=work, args=(Fraction(1, draw.choice([1, 2, 3, 4])), draw.uniform(0, 0.03)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not problems
    assert most[0] == 1
    assert tickets() == []


def test_shares_fill_the_least_used_device_first():
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    assert choose(ask(share=quarter), []) == ("cpu:0",)
    assert choose(ask(share=quarter), [given(0, "cpu:0", quarter)]) == ("cpu:1",)
    both = [given(0, "cpu:0", half), given(1, "cpu:1", quarter)]
    assert choose(ask(share=half), both) == ("cpu:1",)
    assert choose(ask(share=Fraction(3, 4)), both) == ("cpu:1",)
    assert choose(ask(), both) == ()
    # Thirds are exact.
    thirds = [given(number, "cpu:0", Fraction(1, 3)) for number in range(2)]
    assert choose(ask(wanted=("cpu:0",), share=Fraction(1, 3)), thirds) == ("cpu:0",)
    assert choose(ask(wanted=("cpu:0",), share=half), thirds) == ()


def test_small_ones_leave_a_device_to_one_that_waits_for_a_whole_one():
    """Four quarters come and go for ever; the whole one gets a device when the first four are gone."""
    quarter = Fraction(1, 4)
    running = [given(number, TWO[number % 2], quarter) for number in range(4)]
    whole = ask("whole")
    for _ in range(4):
        assert choose(whole, [whole, *running]) == ()
        running.pop(0)
        new = ask(share=quarter)
        (device,) = choose(new, [whole, *running, new])
        running.append(given(0, device, quarter))
        if choose(whole, [whole, *running]):
            return
    pytest.fail("it waits for ever")


def test_processes_of_one_run_get_devices_at_one_time():
    """Two runs of two processes each, on three devices: neither keeps one and waits for a second."""
    seen: dict[str, tuple[str, ...]] = {}
    starts: list[str] = []

    def process(group: str, rank: int) -> None:
        ticket = ask(group, ("cpu:0", "cpu:1", "cpu:2"), group=group, rank=rank, size=2)
        with leased(ticket, lambda line: None) as devices:
            assert seen.setdefault(group, devices) == devices
            assert len({*devices}) == 2
            held = [each.device for each in tickets() if each.device]
            assert len(held) == len({*held})
            starts.append(group)
            while starts.count(group) < 2:
                time.sleep(0.01)

    threads = [threading.Thread(target=process, args=(group, rank)) for rank in (1, 0) for group in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(starts) == ["a", "a", "b", "b"]


def test_more_processes_than_devices_are_refused():
    message = "3 processes, each with a device of cpu:0, cpu:1"
    with pytest.raises(DmixError, match=message), leased(ask(size=3), nobody):
        pass


def test_an_error_of_the_job_is_its_own():
    with pytest.raises(FileNotFoundError, match="data"), leased(ask(), nobody):
        raise FileNotFoundError("data")
    assert tickets() == []


def test_a_folder_that_cannot_be_used_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DMIX_LEASES", str(tmp_path / "file/leases"))
    with pytest.raises(DmixError, match="no folder for the leases of devices") as caught:
        tickets()
    assert "DMIX_LEASES" in caught.value.way_out


def test_a_ticket_of_another_version_is_named(folder):
    with leased(ask(), nobody):
        (path,) = folder.glob("*.ticket")
        path.write_text('{"label": "run"}')
        with pytest.raises(DmixError, match=f"{path.name} is no ticket of this version of dmix"):
            tickets()
