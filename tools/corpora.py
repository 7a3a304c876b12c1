"""Finds every corpus, downloaded if needed, and checks its files.

    python -m tools.corpora

The workflow "canary" runs it (``make corpora``): the pinned addresses still answer with the right
bytes.
"""

from __future__ import annotations

import argparse

from utils.console import make_output_safe
from utils.data.download import corpus_files
from utils.data.registry import registry


def check_corpora() -> None:
    """Print the name of each corpus of the registry and the paths of its files.

    Raises
    ------
    DataError
        If a file cannot be obtained or is not the expected one.
    """
    for name in registry():
        print(name, *corpus_files(name).values(), flush=True)


if __name__ == "__main__":
    make_output_safe()
    argparse.ArgumentParser(prog="python -m tools.corpora", description=__doc__).parse_args()
    check_corpora()
