"""The record ``en-de-transformer``: the Transformer of ``de-en-transformer``, the other way round.

Rate and positional encoding are chosen anew, for this direction, by the same trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.code_version import code_version
from benchmarks.records.de_en_transformer import (
    STEPS,
    TRIAL_STEPS,
    VOCAB_SIZE,
    arm_name,
    choose,
    settings_of,
    train,
)
from benchmarks.records.evaluation import BEAM_SIZE, RANKINGS, search_figures
from benchmarks.records.record_run import RecordRun
from benchmarks.records.task import PairTask
from benchmarks.result_files import SeedRows
from benchmarks.tuning import run_missing

PART = "Multi30k, English to German"


def run_record(
    out: Path,
    arguments: Sequence[str],
    *,
    seeds: Sequence[int],
    steps: int | None,
    trial_steps: int | None,
    folder: Path,
) -> None:
    """Run the trials and the seeds that the file lacks.

    Parameters
    ----------
    out
        The file of the results.
    arguments
        The arguments of the command line.
    seeds
        The seeds.
    steps, trial_steps
        Steps of a run and of a trial, instead of the record's own.
    folder
        The folder of the checkpoints.
    """
    torch.set_num_threads(1)
    run = RecordRun.of_record("en_de_transformer", arguments)
    where: dict[str, Any] = {
        "folder": folder,
        "code": code_version("benchmarks.records.en_de_transformer"),
    }
    task = PairTask.load("en", "de", vocab_size=VOCAB_SIZE)
    trials = SeedRows(out, run, part=f"{PART}, trials", origin=task.origin)
    rows = SeedRows(out, run, part=PART, origin=task.origin)
    steps, trial_steps = steps or STEPS, trial_steps or TRIAL_STEPS
    choice = choose(trials, task, steps=trial_steps, **where)
    options = {"positions": choice["positions"], "rate": choice["rate"], "steps": steps}

    def run_seed(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        model, figures, costs = train(task, **options, seed=seed, **where)
        return figures | search_figures(model, task, keep_answers=seed == 0), costs

    settings = settings_of(**options) | {
        "grid": choice["grid"],
        "trial steps": trial_steps,
        "beam": BEAM_SIZE,
        "rankings": list(RANKINGS),
    }
    run_missing(rows, arm_name(steps), seeds=seeds, settings=settings, run=run_seed)
