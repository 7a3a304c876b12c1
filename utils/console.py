r"""Printing on any console: characters that its encoding lacks are written as ``\u2212``.

A Windows console may know the 256 characters of cp1252 alone, on which ``print`` ends a program at
the first ``−`` or ``✓``.
"""

from __future__ import annotations

import io
import sys


def make_output_safe() -> None:
    """Let everything that this process prints be printable; for the start of a program.

    The stream stays as it is if it is not one of Python's own, as in a notebook.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def safe_print(text: str) -> None:
    """Print one line, whatever the encoding of the console; for functions that any program calls.

    Parameters
    ----------
    text
        The line, without its end.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))
