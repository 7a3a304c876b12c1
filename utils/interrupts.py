"""Signals that end a run between two steps: Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt(threading.Event):
    """An event that a signal sets: `signal_number` is then the signal's, and 0 before.

    It is 2 for Ctrl-C, 15 for SIGTERM and 1 for SIGHUP, which a closed terminal sends.
    """

    signal_number = 0


@contextmanager
def interrupt_flag() -> Iterator[Interrupt]:
    """Let Ctrl-C, SIGTERM and SIGHUP set an event within the block, not end the program.

    A loop that tests the event between its steps is never interrupted within one. A second signal
    acts at once. A SIGHUP that the program ignores, as under ``nohup``, stays ignored. Outside the
    main thread, which gets no signals, the event is never set.

    Yields
    ------
    interrupt : Interrupt
        The event, which is set after the first signal.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    previous_handlers = {
        number: handler
        for number in _interrupting_signals()
        if (handler := signal.getsignal(number)) is not None  # None: not installed by Python
    }

    def handle(signal_number: int, _frame: FrameType | None) -> None:
        is_first = interrupt.signal_number == 0
        if is_first:
            interrupt.signal_number = signal_number
            interrupt.set()
        # Of this signal alone: another may be pending, which Python drops with a traceback if it
        # finds the default handler.
        signal.signal(signal_number, previous_handlers[signal.Signals(signal_number)])
        if not is_first:
            signal.raise_signal(signal_number)

    for number in previous_handlers:
        signal.signal(number, handle)
    try:
        yield interrupt
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _interrupting_signals() -> list[signal.Signals]:
    """Return the signals that end a run: Ctrl-C, SIGTERM, and SIGHUP unless it is ignored."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return numbers
