r"""Printing to any console: characters that its encoding lacks are written as ``\u2212``.

A Windows console may support only the 256 characters of cp1252, where ``print`` raises an error at
the first ``−`` or ``✓``.
"""

from __future__ import annotations

import io
import sys


def make_output_safe() -> None:
    """Make every character printable in this process; to be called at the start of a program.

    A stream that is not Python's own, as in a notebook, is left unchanged.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def safe_print(text: str) -> None:
    """Print one line, whatever the encoding of the console; for functions of the library."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))
