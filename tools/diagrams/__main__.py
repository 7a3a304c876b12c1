"""Write all diagrams and their style sheet: ``python -m tools.diagrams``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.diagrams.checks import problems
from tools.diagrams.gallery import diagrams, files
from tools.diagrams.palette import stylesheet
from utils.console import make_output_safe

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"


def main(static: Path = STATIC) -> None:
    """Write the files, remove those that are no longer drawn, and print what is wrong."""
    folder = static / "diagrams"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = files()
    for path in folder.glob("*.svg"):
        if path.name not in drawn:
            path.unlink()
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")
    (static / "diagrams.css").write_text(stylesheet(), encoding="utf-8")
    for name, diagram in diagrams().items():
        for problem in problems(diagram):
            print(f"{name}: {problem}")


if __name__ == "__main__":
    make_output_safe()
    argparse.ArgumentParser(prog="python -m tools.diagrams", description=__doc__).parse_args()
    main()
