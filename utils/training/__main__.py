"""``python -m utils.training MODEL …``: train a model of the book from the command line.

Ctrl-C ends the command with one line and exit code 130, at whatever moment it comes.
"""

import os
import signal
from types import FrameType

from utils.console import finish_output, make_output_safe


def _exit_at_once(_signal_number: int, _frame: FrameType | None) -> None:
    """End the process: an import that is interrupted by an exception may fail in any way."""
    os.write(2, b"python -m utils.training: interrupted\n")
    os._exit(128 + signal.SIGINT)


def _interrupt_once(_signal_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; a further Ctrl-C does not disturb what follows, and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _run() -> int:
    """Run the command and return its exit code."""
    is_ignored = signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # in background
    if not is_ignored:
        signal.signal(signal.SIGINT, _exit_at_once)
    from utils.command.run import main, print_error

    if not is_ignored:
        signal.signal(signal.SIGINT, _interrupt_once)
    make_output_safe()
    try:
        try:
            code = main()
        except SystemExit as stop:  # after a help text or a wrong command line
            code = int(stop.code or 0)
        try:
            finish_output()
        except OSError as error:  # the disk to which the output goes is full
            if code == 0:  # else one line about it or another error is printed
                print_error("", error)
            return code or 1
        return code
    finally:
        if not is_ignored:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while Python shuts down


if __name__ == "__main__":
    raise SystemExit(_run())
