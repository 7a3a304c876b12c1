"""Ctrl-C, SIGTERM and SIGHUP end a run between two steps."""

import os
import signal
import sys
import threading

import pytest

from utils import interrupts


@pytest.fixture
def python_handles_ctrl_c():
    """Python's own answer to Ctrl-C, which a job in the background does not start with."""
    handler_before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler_before)


def test_the_first_ctrl_c_waits_and_the_second_acts_at_once(python_handles_ctrl_c):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts.interrupt_flag() as flag:
        assert not flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()  # pragma: no cover
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def acting_handlers():
    """Handlers that act at once, each of which puts its signal's number in a list, and that list.

    As at the start of a program, whatever the one that runs the tests ignores.
    """
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _: received.append(number))
    yield received
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_sigterm_and_sighup_wait_as_ctrl_c_does_and_all_say_which_they_were(acting_handlers):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        with interrupts.interrupt_flag() as flag:
            assert not flag.is_set() and flag.signal_number == 0
            os.kill(os.getpid(), number)
            assert flag.is_set() and flag.signal_number == number and acting_handlers == []
            after = signal.getsignal(number)
            assert after == handlers[numbers.index(number)], "a second signal acts at once"
        assert [signal.getsignal(number) for number in numbers] == handlers


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_signal_acts_at_once_whichever_it_is(acting_handlers):
    for first in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for second in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            acting_handlers.clear()
            with interrupts.interrupt_flag() as flag:
                os.kill(os.getpid(), first)
                os.kill(os.getpid(), second)
                assert flag.signal_number == first and acting_handlers == [second]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_signals_that_come_together_are_handled_one_after_the_other(acting_handlers, monkeypatch):
    """The first of them must not put the default handler in place of a pending one's."""
    numbers = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    defaults, terminated = signal.raise_signal, []
    monkeypatch.setattr(
        signal, "raise_signal", lambda x: terminated.append(x) if x == 15 else defaults(x)
    )
    with interrupts.interrupt_flag() as flag:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            signal.pthread_kill(threading.get_ident(), number)  # not to another thread
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        assert flag.signal_number == signal.SIGHUP, "Python handles them in their order"
        assert acting_handlers == [signal.SIGINT] and terminated == [signal.SIGTERM]
    assert unraisable == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_hangup_that_the_program_ignores_stays_ignored(acting_handlers):
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupts.interrupt_flag() as flag:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not flag.is_set()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_handler_that_python_did_not_install_stays(monkeypatch):
    """Python knows it as None, which cannot be installed again."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    installed = []
    monkeypatch.setattr(signal, "signal", lambda *arguments: installed.append(arguments))
    with interrupts.interrupt_flag() as flag:
        assert not flag.is_set()
    assert installed == []


def test_outside_the_main_thread_nothing_waits_for_ctrl_c():
    interrupted = []

    def work():
        with interrupts.interrupt_flag() as flag:
            interrupted.append(flag.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert interrupted == [False]
