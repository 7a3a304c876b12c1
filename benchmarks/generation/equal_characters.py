"""Sets of texts cut to equal numbers of characters: for the figures and claims of section 6.2.

    python -m benchmarks.generation.equal_characters          some five minutes of one quiet core

The texts are those of ``rules``, ``between`` and ``controls``, 64 pieces each, which makes sets of
unequal numbers of characters. Here every text of a set is shortened in proportion, so that each
student learns from CHARACTERS characters of as many texts. Scores are means over the
test text and the validation text. Rows are written to book/results/generation.json, part
"equal characters".
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.generation.controls import make_arms
from benchmarks.generation.diversity import SPLITS
from benchmarks.generation.rules import SETTINGS, Rule
from benchmarks.generation.task import GenerationTask
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.data.corpora import load_text

CHARACTERS = 7000  # of each set; beam search, whose pieces are short, writes hardly more
RULES = (
    *(Rule("top_k", value) for value in (20, 30)),
    *(Rule("temperature", value) for value in (0.7, 0.8, 0.9)),
    *(Rule("top_p", value) for value in (0.8, 0.9)),
    *(Rule("min_p", value) for value in (0.05, 0.02)),
    *(Rule("top_k", value) for value in (50, 5)),
    Rule("top_p", 0.6),
    Rule("min_p", 0.2),
    Rule("real"),
    Rule("greedy"),
    Rule("plain", writer="unigram"),
    Rule("beam", 4),
    Rule("plain", writer="n-gram"),
    Rule("temperature", 1.2),
    *(Rule("typical_p", value) for value in (0.8, 0.9)),
)
CONTROLS = ("plain", "temperature 0.6", "words shuffled", "5% replaced", "copies")
Writer = Callable[[str, int], tuple[torch.Tensor, list[list[int]]]]
"""Returns beginnings and texts in pieces for a split and a seed."""


def shorten(texts: Sequence[str], characters: int) -> list[str]:
    """Cut the ends of texts off, of each in proportion to its length.

    Parameters
    ----------
    texts
        The texts.
    characters
        How many characters are left of all texts together.

    Returns
    -------
    shortened : list of str
        As many texts.

    Raises
    ------
    ValueError
        If the texts have fewer characters.
    """
    ends = list(accumulate(map(len, texts)))
    if ends[-1] < characters:
        raise ValueError(f"the texts have {ends[-1]} characters, fewer than {characters}")
    ends = [0, *(round(characters * end / ends[-1]) for end in ends)]
    return [text[: ends[i + 1] - ends[i]] for i, text in enumerate(texts)]


def measure(
    write: Writer, task: GenerationTask, *, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure the texts of a writer, for the student at an equal number of characters.

    Parameters
    ----------
    write
        The writer.
    task
        The task.
    seed
        The seed.

    Returns
    -------
    figures : dict
        "judge" and "student", means over the two splits, in bits per character; "test student" and
        "valid student"; "characters" of the whole set, a mean over the splits.
    costs : dict
        Pieces written, and seconds of the processor.
    """
    start, written = time.process_time(), 0
    judge, student, characters = [], {}, []
    for split in SPLITS:
        prompts, pieces = write(split, seed)
        texts = [task.text_of(text) for text in pieces]
        written += sum(map(len, pieces))
        characters.append(sum(map(len, texts)))
        judge.append(task.judge_bits_per_character(prompts, pieces))
        student[split] = task.student_bits_per_character(shorten(texts, CHARACTERS), split)
    figures = {"judge": statistics.fmean(judge), "student": statistics.fmean(student.values())}
    figures |= {f"{split} student": score for split, score in student.items()}
    figures |= {"characters": statistics.fmean(characters)}
    seconds = round(time.process_time() - start, 2)
    return figures, {"parameters": None, "tokens": written, "processor_seconds": seconds}


def continue_passages(rule: Rule, task: GenerationTask, split: str, seed: int) -> Any:
    """Continue passages by a rule.

    Parameters
    ----------
    rule
        The rule.
    task
        The task.
    split
        The text that the passages come from, "valid" or "test".
    seed
        The seed.

    Returns
    -------
    prompts : torch.Tensor
        Their beginnings, (B, PROMPT).
    texts : list of list of int
        What the rule writes after each.
    """
    prompts, real = task.passages[split].draw(seed=seed)
    return prompts, rule.write(task.writers[rule.writer], prompts, real, seed=seed)


def main(arguments: Sequence[str]) -> None:
    """Run the arms by the arguments of the command line."""
    parser = command_line.benchmark_parser("generation.equal_characters", __doc__)
    parser.set_defaults(out=result_files.RESULTS_FOLDER / "generation.json")
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run = result_files.Run.start("generation.equal_characters", arguments)
    task = GenerationTask.load()
    rows = result_files.SeedRows(options.out, run, part="equal characters", origin=task.origin)
    controls = make_arms(task, torch.tensor(task.tokenizer.encode(load_text().train)))
    arms: dict[str, Writer] = {name: controls[name] for name in CONTROLS}
    arms |= {rule.name: partial(continue_passages, rule, task) for rule in RULES}
    settings = dict.fromkeys(("optimizer", "learning_rate", "grid", "steps"))
    settings |= SETTINGS | {"characters": CHARACTERS}
    for name, write in arms.items():
        run_missing(
            rows, name, seeds=options.seeds, settings=settings, run=partial(measure, write, task)
        )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
