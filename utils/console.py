r"""Printing to any console: characters that its encoding lacks are written as ``\u2212``.

A Windows console may support only the 256 characters of cp1252, where ``print`` raises an error at
the first ``−`` or ``✓``. A terminal may be closed while a program runs: ``print`` would then raise
an error, and the program end without its result.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any


def make_output_safe() -> None:
    """Let no ``print`` of this process fail; to be called at the start of a program.

    Characters that the console lacks are escaped. What is printed after the terminal is closed, or
    after the program that reads a pipe has ended, is dropped. A stream that is not Python's own, as
    in a notebook, is left unchanged. An error of the disk to which stdout goes is raised once, by
    `print` or `flush`; what is printed after it is dropped. If the program does not catch it, or it
    comes only at the end of the program, one line on stderr tells it, and the exit code is 1. On
    stderr, where no error can be told, all errors are ignored.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            if stream is getattr(sys, f"__{name}__"):
                setattr(sys, name, _without_reader_errors(stream, is_stderr=name == "stderr"))
                if name == "stdout":
                    sys.excepthook = partial(_report_uncaught, sys.excepthook)
                    atexit.register(_finish_at_exit)


class _Output(io.RawIOBase):
    """The bytes of a standard stream, which are dropped once nobody can read them."""

    def __init__(self, raw: Any, *, is_stderr: bool = False) -> None:
        self._raw = raw
        self._ignores_all = is_stderr
        self.error: OSError | None = None  # of the disk, which ends the output
        # a terminal that is closed gives EIO; in a file that is an error of the disk
        self._ignored = (errno.EPIPE, errno.EIO) if raw.isatty() else (errno.EPIPE,)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the stream is a terminal that is open."""
        return bool(self._raw.isatty())

    def fileno(self) -> int:
        """Return the number of the stream in the operating system."""
        return int(self._raw.fileno())

    def write(self, data: Any) -> int | None:
        """Write to the stream; return the number of bytes that are done with."""
        try:
            count: int | None = self._raw.write(data)
        except OSError as error:
            if error.errno not in self._ignored and not self._ignores_all:
                self._ignores_all = True  # Python writes the same again when it ends
                self.error = error
                raise
            return memoryview(data).nbytes
        return count


def finish_output() -> None:
    """Write what `print` has buffered; to be called at the end of a program.

    Raises
    ------
    OSError
        If stdout goes to a disk that could not take all that was printed after `make_output_safe`;
        once.
    """
    if sys.stdout is None:  # closed before the program began
        return
    try:
        sys.stdout.flush()
    finally:
        error = _take_error()
    if error is not None:
        raise error


def _take_error() -> OSError | None:
    """Return the error of the disk to which stdout goes, if no other call has returned it."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Output):
        return None
    error, raw.error = raw.error, None
    return error


def _report_uncaught(
    other_hook: Callable[..., object],
    error_type: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Print one line for an error of stdout's disk, for any other what `other_hook` prints."""
    if isinstance(error, OSError) and error is _take_error():
        _print_error(error)
    else:
        other_hook(error_type, error, traceback)


def _finish_at_exit() -> None:
    """Write what `print` has buffered; end the process with exit code 1 if that fails."""
    try:
        finish_output()
    except OSError as error:
        _print_error(error)
        os._exit(1)  # nothing that a function of `atexit` raises would change the exit code


def _print_error(error: OSError) -> None:
    """Tell on stderr, in one line, that stdout could not be written."""
    print(f"stdout could not be written: {error.strerror or error}", file=sys.stderr, flush=True)


def _without_reader_errors(stream: io.TextIOWrapper, *, is_stderr: bool) -> io.TextIOWrapper:
    """Return the same stream, but one that `_Output` writes."""
    raw = getattr(stream.buffer, "raw", stream.buffer)  # with python -u there is no buffer
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(raw, is_stderr=is_stderr)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
    )


def safe_print(text: str) -> None:
    """Print one line, whatever the encoding of the console; for functions of the library."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))
