"""Controls of section 6.2: what the judge and the student make of copies and of added noise.

    python -m benchmarks.generation.controls          about a minute of one quiet core

``copies`` are passages of the training text, from a writer that only memorizes. The GPT writes
plain samples and, for comparison, samples at temperature 0.6. The other arms damage the plain
samples of the same seed: a share of their pieces is replaced by draws of a unigram, or the words of
each text are shuffled. Rows are written to book/results/generation.json, part "controls".
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.generation.diversity import SPLITS
from benchmarks.generation.rules import SETTINGS, Rule
from benchmarks.generation.task import GenerationTask, Passages
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.data.corpora import load_text

PLAIN, STRICT = Rule("plain"), Rule("temperature", 0.6)
SHARES = (0.05, 0.1, 0.2, 0.4)  # of pieces that are replaced
Texts = list[list[int]]
"""Texts in pieces."""


def replace_pieces(texts: Texts, train: torch.Tensor, share: float, *, seed: int) -> Texts:
    """Replace a share of the pieces of texts by pieces drawn from a text.

    Parameters
    ----------
    texts
        The texts, all of one length.
    train
        The text in pieces, (N,).
    share
        The probability with which each piece is replaced.
    seed
        The seed of the draws.

    Returns
    -------
    damaged : list of list of int
        As many texts of the same length.
    """
    generator, pieces = torch.Generator().manual_seed(seed), torch.tensor(texts)  # (B, LENGTH)
    replaced = torch.rand(pieces.shape, generator=generator) < share
    places = torch.randint(len(train), pieces.shape, generator=generator)
    return torch.where(replaced, train[places], pieces).tolist()


def shuffle_words(texts: Texts, task: GenerationTask, *, seed: int) -> Texts:
    """Shuffle the words of each text, as spaces part them.

    Parameters
    ----------
    texts
        The texts.
    task
        The task, for its tokenizer.
    seed
        The seed of the orders.

    Returns
    -------
    damaged : list of list of int
        As many texts.
    """
    order, shuffled = random.Random(seed), []
    for text in texts:
        words = task.text_of(text).split(" ")
        order.shuffle(words)
        shuffled.append(task.tokenizer.encode(" ".join(words)))
    return shuffled


def measure(
    passages: Callable[[str, int], tuple[torch.Tensor, Texts]], task: GenerationTask, *, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure the texts of a writer as ``benchmarks.generation.diversity`` does.

    Parameters
    ----------
    passages
        Returns beginnings and texts for a split and a seed.
    task
        The task.
    seed
        The seed.

    Returns
    -------
    figures : dict
        "judge" and "student" for the test text, "selection judge" and "selection student" for the
        validation text, all in bits per character.
    costs : dict
        Pieces written, and seconds of the processor.
    """
    start, written = time.process_time(), 0
    figures: dict[str, float] = {}
    for split, kind in SPLITS.items():
        prompts, texts = passages(split, seed)
        written += sum(map(len, texts))
        figures |= {
            f"{kind}judge": task.judge_bits_per_character(prompts, texts),
            f"{kind}student": task.student_bits_per_character(
                [task.text_of(text) for text in texts], split
            ),
        }
    seconds = round(time.process_time() - start, 2)
    return figures, {"parameters": None, "tokens": written, "processor_seconds": seconds}


def make_arms(
    task: GenerationTask, train: torch.Tensor
) -> dict[str, Callable[[str, int], tuple[torch.Tensor, Texts]]]:
    """Return the functions that write the texts of each arm.

    Parameters
    ----------
    task
        The task.
    train
        The training text in pieces, (N,).

    Returns
    -------
    arms : dict of str to callable
        Each returns beginnings and texts for a split and a seed.
    """
    samples: dict[tuple[Rule, str, int], tuple[torch.Tensor, Texts]] = {}

    def copies(_split: str, seed: int) -> tuple[torch.Tensor, Texts]:
        prompts, real = Passages(train, train).draw(seed=seed)
        return prompts, real.tolist()

    def sampled(rule: Rule, split: str, seed: int) -> tuple[torch.Tensor, Texts]:
        if (rule, split, seed) not in samples:
            prompts, real = task.passages[split].draw(seed=seed)
            texts = rule.write(task.writers["GPT"], prompts, real, seed=seed)
            samples[rule, split, seed] = prompts, texts
        return samples[rule, split, seed]

    def replaced(share: float, split: str, seed: int) -> tuple[torch.Tensor, Texts]:
        prompts, texts = sampled(PLAIN, split, seed)
        return prompts, replace_pieces(texts, train, share, seed=seed)

    def shuffled(split: str, seed: int) -> tuple[torch.Tensor, Texts]:
        prompts, texts = sampled(PLAIN, split, seed)
        return prompts, shuffle_words(texts, task, seed=seed)

    arms: dict[str, Callable[[str, int], tuple[torch.Tensor, Texts]]]
    arms = {"copies": copies, "words shuffled": shuffled}
    arms |= {rule.name: partial(sampled, rule) for rule in (PLAIN, STRICT)}
    return arms | {f"{share:.0%} replaced": partial(replaced, share) for share in SHARES}


def main(arguments: Sequence[str]) -> None:
    """Run the controls by the arguments of the command line."""
    parser = command_line.benchmark_parser("generation.controls", __doc__)
    parser.set_defaults(out=result_files.RESULTS_FOLDER / "generation.json")
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("generation.controls", arguments), GenerationTask.load()
    rows = result_files.SeedRows(options.out, run, part="controls", origin=task.origin)
    train = torch.tensor(task.tokenizer.encode(load_text().train))
    none = dict.fromkeys(("optimizer", "learning_rate", "grid", "steps"))
    for name, write in make_arms(task, train).items():
        settings = none | SETTINGS | {"control": name}
        run_missing(
            rows, name, seeds=options.seeds, settings=settings, run=partial(measure, write, task)
        )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
