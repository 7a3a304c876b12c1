"""Texts by each rule: what a judge thinks of them, and what a student learns from them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.generation.rules import SETTINGS, Rule
from benchmarks.generation.task import GenerationTask
from benchmarks.result_files import SeedRows
from benchmarks.tuning import run_missing
from utils.metrics.text import distinct_n

SPLITS = {"valid": "selection ", "test": ""}  # a split, and what its figures are called


def run_rule(
    rule: Rule, task: GenerationTask, *, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Continue passages of the validation and of the test text by a rule, and measure.

    Parameters
    ----------
    rule
        The rule.
    task
        The models and passages.
    seed
        Seed of the passages and of the draws.

    Returns
    -------
    figures : dict
        "judge" and "student", both in bits per character, "distinct-2" and the share of
        "repeated" strings of four pieces, for the test text; "selection judge" and so on for the
        validation text.
    costs : dict
        Parameters, pieces written and seconds of the processor.
    """
    start, written = time.process_time(), 0
    figures: dict[str, float] = {}
    for split, kind in SPLITS.items():
        prompts, real = task.passages[split].draw(seed=seed)
        texts = rule.write(task.writers[rule.writer], prompts, real, seed=seed)
        written += sum(map(len, texts))
        figures |= {
            f"{kind}judge": task.judge_bits_per_character(prompts, texts),
            f"{kind}student": task.student_bits_per_character(
                [task.text_of(text) for text in texts], split
            ),
            f"{kind}distinct-2": distinct_n(texts, 2),
            f"{kind}repeated": statistics.fmean(1 - distinct_n([text], 4) for text in texts),
        }
    costs = {
        "parameters": task.parameters if rule.writer == "GPT" else None,
        "tokens": written,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def run_rules(
    rules: Sequence[Rule], task: GenerationTask, *, seeds: Sequence[int], rows: SeedRows
) -> None:
    """Run the seeds of rules that have no row yet, one seed of all rules after another.

    Parameters
    ----------
    rules
        The rules.
    task
        The models and passages.
    seeds
        The seeds.
    rows
        The rows to write.
    """
    none = dict.fromkeys(("optimizer", "learning_rate", "grid", "steps"))
    for seed in seeds:
        for rule in rules:
            settings = none | SETTINGS | {"rule": rule.name, "writer": rule.writer}
            run = partial(run_rule, rule, task)
            run_missing(rows, rule.name, seeds=[seed], settings=settings, run=run)
