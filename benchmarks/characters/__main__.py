"""Tiny Shakespeare by characters: nanoGPT's recipe for a small CPU compared with the book's.

    python -m benchmarks.characters --seeds 3               both recipes, in one process, in turn
    python -m benchmarks.characters --seeds 3 --ablation    each ingredient added to those before it

The first 90 % of the characters train, the last 10 % validate: each of them is predicted once, in
windows of 64. The baseline is nanoGPT's recipe for a small CPU (Karpathy 2022: 4 layers, 4 heads,
128 wide, context length 64, batch size 12, 2,000 steps) with a model and a bare loop of its own
(``nanogpt``). The book's recipe (``recipes``) is a `GPT` that `fit` trains for as many steps as
take the baseline's time. The two advance in turn, a tenth each, so that whatever else the machine
does slows both. Results go to book/results/characters.json, or to `--out=FILE`; a part that
a run does not make stays as it was there. Section 6.2 reads them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import command_line, result_files
from benchmarks.characters import nanogpt
from benchmarks.characters.ablation import run_ablation
from benchmarks.characters.comparison import compare_over_seeds
from benchmarks.characters.task import CharacterTask
from utils.console import make_output_safe


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("characters", __doc__)
    parser.add_argument("--seeds", type=command_line.positive_integer, default=1, help="how many")
    parser.add_argument(
        "--steps", type=command_line.positive_integer, default=nanogpt.STEPS, help="of the baseline"
    )
    parser.add_argument(
        "--book-steps",
        type=command_line.positive_integer,
        help="of the book's recipe: by default as many as take equal time",
    )
    parser.add_argument("--ablation", action="store_true", help="instead of the comparison")
    options = parser.parse_args(arguments)
    run, task = result_files.Run.start("characters", arguments), CharacterTask.load()
    if options.ablation:
        rows = run_ablation(task, num_seeds=options.seeds, steps=options.steps)
        name = "ablation"
        part: dict[str, Any] = {"rows": [asdict(row) for row in rows], "steps": options.steps}
    else:
        name = "comparison"
        part = compare_over_seeds(
            task,
            num_seeds=options.seeds,
            baseline_steps=options.steps,
            book_steps=options.book_steps,
        )
    part["provenance"] = run.provenance(seeds=range(options.seeds), origin=task.origin)
    result_files.write_results(options.out, {name: part}, keep_others=True)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
