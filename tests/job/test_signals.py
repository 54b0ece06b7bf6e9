"""A run leaves at the second signal, or some time after the first, also where no step ends any more."""

from __future__ import annotations

import os
import signal
import time

import pytest

from dmix.job import signals
from dmix.job.signals import LeaveNow, watched


@pytest.fixture(autouse=True)
def quiet():
    """Stop the timer that would end this process, and put its handlers back."""
    before = {number: signal.getsignal(number) for number in (*signals.SIGNALS, signal.SIGALRM)}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def hang(seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def left_by(number: int) -> None:
    """Send this process a signal, and expect to leave in what follows."""
    with pytest.raises(LeaveNow):
        kill_and_hang(number)


def kill_and_hang(number: int) -> None:
    os.kill(os.getpid(), number)
    hang()


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_the_first_signal_is_noted_and_the_second_leaves_at_once(monkeypatch, number):
    monkeypatch.setattr(signals, "ONE_STOP_SECONDS", 0.05)
    started = time.monotonic()
    with watched() as stop:
        os.kill(os.getpid(), number)
        hang(0.1)
        assert (stop.signal, stop.again) == (number, False)
        left_by(number)
    assert time.monotonic() - started < 2
    assert stop.again


def test_the_same_signal_that_is_passed_on_twice_is_one():
    with watched() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        hang(0.1)
        assert stop.signal == signal.SIGTERM
        assert not stop.again


def test_a_step_that_does_not_end_is_left(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.2)
    with watched() as stop:
        left_by(signal.SIGTERM)
    assert not stop.again


def test_a_save_is_not_interrupted(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(signals, "ONE_STOP_SECONDS", 0.0)
    with watched() as stop:
        with stop.saving():
            os.kill(os.getpid(), signal.SIGTERM)
            hang(0.2)
            os.kill(os.getpid(), signal.SIGTERM)
            hang(0.1)
        with pytest.raises(LeaveNow):
            hang()  # in the next step
    assert stop.again


def test_a_run_that_cannot_even_leave_is_ended(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(signals, "LEAVING_SECONDS", 0.05)
    if (child := os.fork()) == 0:
        try:
            with watched():
                os.kill(os.getpid(), signal.SIGTERM)
                hang()
        except LeaveNow:
            hang()  # in its clean-up
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == signals.AGAIN
