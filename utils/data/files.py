"""Small text files that are written completely or not at all, such as saved tokenizers."""

from __future__ import annotations

import os
from pathlib import Path


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to the file `path`; a failure leaves an earlier file there as it was.

    The text goes to a hidden file in the same folder, which then takes the name `path`. Missing
    folders are created.

    Raises
    ------
    OSError
        If the file cannot be written or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
