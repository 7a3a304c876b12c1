"""The record ``de-en-transformer``: Multi30k, German to English, at most nine million parameters.

Four layers of 128 numbers on each side. The rate is chosen by the validation loss of short
trainings, from a grid whose best is inside, and with it the positional encoding; depth, width,
feed-forward size, dropout and smoothing stand as an earlier long training had them. Muon trains the
matrices of the layers: in the benchmark ``translation`` it is ahead of AdamW alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.code_version import code_version
from benchmarks.records.evaluation import BEAM_SIZE, RANKINGS, search_figures
from benchmarks.records.record_run import RecordRun
from benchmarks.records.task import PairTask
from benchmarks.records.training import Training, train_pairs
from benchmarks.result_files import SeedRows
from benchmarks.tuning import run_missing, trial_score, tune
from utils.metrics.cost import count_parameters
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.positions import EncodingName
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.optimizers import muon

STEPS, NUM_VALIDATIONS = 9000, 18
TRIAL_STEPS, NUM_TRIAL_VALIDATIONS = 600, 3
VOCAB_SIZE, BATCH_SIZE = 4000, 64  # pieces; sentence pairs
WIDTH, NUM_LAYERS, NUM_HEADS, FEEDFORWARD_SIZE = 128, 4, 4, 256
DROPOUT, LABEL_SMOOTHING, WARMUP_FRACTION = 0.2, 0.1, 0.08
RATES = (4e-3, 8e-3, 1.6e-2)
FIRST_POSITIONS: EncodingName = "rotary"  # with which the rate is tuned
OTHER_POSITIONS: EncodingName = "sinusoidal"
TRIAL_SEED = 100
TRIAL_FIGURE = "validation loss (nats per token)"


def arm_name(steps: int) -> str:
    """Return the name of the runs of so many steps."""
    return f"Transformer, {steps:,} steps"


def build(vocab_size: int, *, positions: EncodingName) -> EncoderDecoder[TransformerDecoderState]:
    """Build the model with one embedding for source, target and output.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary, which both languages share.
    positions
        The positional encoding.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    options: dict[str, Any] = {
        "width": WIDTH,
        "num_layers": NUM_LAYERS,
        "num_heads": NUM_HEADS,
        "feedforward_size": FEEDFORWARD_SIZE,
        "dropout": DROPOUT,
        "positional_encoding": positions,
    }
    encoder = TransformerEncoder(vocab_size, **options)
    return share_embeddings(EncoderDecoder(encoder, TransformerDecoder(vocab_size, **options)))


def settings_of(positions: EncodingName, rate: float, steps: int) -> dict[str, Any]:
    """Return the settings of a training that rows store, without the grid.

    Parameters
    ----------
    positions
        The positional encoding.
    rate
        The highest learning rate.
    steps
        Training steps.

    Returns
    -------
    settings : dict
        The settings of a row.
    """
    return {
        "optimizer": "Muon",
        "learning_rate": rate,
        "grid": None,
        "steps": steps,
        "warm-up": WARMUP_FRACTION,
        "batch size": BATCH_SIZE,
        "dropout": DROPOUT,
        "label smoothing": LABEL_SMOOTHING,
        "pieces": VOCAB_SIZE,
        "width": WIDTH,
        "layers": [NUM_LAYERS, NUM_LAYERS],
        "heads": NUM_HEADS,
        "feed-forward": FEEDFORWARD_SIZE,
        "positions": positions,
    }


def train(
    task: PairTask,
    *,
    positions: EncodingName,
    rate: float,
    steps: int,
    seed: int,
    folder: Path,
    code: str,
    num_validations: int = NUM_VALIDATIONS,
) -> tuple[EncoderDecoder[Any], dict[str, Any], dict[str, Any]]:
    """Train one model, and return it with the figures of its training and its costs.

    Parameters
    ----------
    task
        The data.
    positions
        The positional encoding.
    rate
        The highest learning rate.
    steps
        Training steps.
    seed
        Seed of the parameters and of the order of the pairs.
    folder, code
        The folder of the checkpoints, and the version of the code.
    num_validations
        How often the model is validated.

    Returns
    -------
    model : EncoderDecoder
        The model with the parameters of its lowest validation loss.
    figures : dict
        Its validation loss, and the curve.
    costs : dict
        Parameters, tokens, seconds of the processor and threads.
    """
    seed_everything(seed)
    model = build(len(task.tokenizer), positions=positions)
    every = max(1, steps // num_validations)
    config = TrainConfig(
        steps=steps,
        learning_rate=rate,
        warmup_fraction=WARMUP_FRACTION,
        validate_every=every,
        checkpoint_every=every,
    )
    training = Training(
        config=config,
        make_optimizer=muon,
        batch_size=BATCH_SIZE,
        label_smoothing=LABEL_SMOOTHING,
    )
    name = f"de-en-transformer-{code}-{positions}-{rate:g}-{steps}-{seed}.pt"
    history, seconds = train_pairs(model, task, training, seed=seed, checkpoint=folder / name)
    figures = {TRIAL_FIGURE: history.best_loss, "validation curve": history.validations}
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
    }
    return model, figures, costs


def choose(
    rows: SeedRows, task: PairTask, *, steps: int, folder: Path, code: str
) -> dict[str, Any]:
    """Run the trials that have no row yet, and return the rate and the positions of the best.

    Parameters
    ----------
    rows
        The rows of the trials.
    task
        The data.
    steps
        Steps of a trial.
    folder, code
        The folder of the checkpoints, and the version of the code.

    Returns
    -------
    choice : dict
        "rate", "positions", and the "grid" of rates.
    """

    def score(rate: float, positions: EncodingName) -> float:
        def run(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
            return train(
                task,
                positions=positions,
                rate=rate,
                steps=steps,
                seed=seed,
                folder=folder,
                code=code,
                num_validations=NUM_TRIAL_VALIDATIONS,
            )[1:]

        settings = settings_of(positions, rate, steps)
        name = f"{positions}, rate {rate:g}"
        return trial_score(
            rows, name, seeds=[TRIAL_SEED], settings=settings, run=run, figure=TRIAL_FIGURE
        )

    scores = tune(partial(score, positions=FIRST_POSITIONS), RATES)
    rate = min(scores, key=lambda rate: scores[rate])
    other = score(rate, OTHER_POSITIONS)
    positions = OTHER_POSITIONS if other < scores[rate] else FIRST_POSITIONS
    return {"rate": rate, "positions": positions, "grid": list(scores)}


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
    run = RecordRun.of_record("de_en_transformer", arguments)
    code = code_version("benchmarks.records.de_en_transformer")
    task = PairTask.load("de", "en", vocab_size=VOCAB_SIZE)
    part = "Multi30k, German to English"
    trials = SeedRows(out, run, part=f"{part}, trials", origin=task.origin)
    rows = SeedRows(out, run, part=part, origin=task.origin)
    choice = choose(trials, task, steps=trial_steps or TRIAL_STEPS, folder=folder, code=code)
    steps = steps or STEPS
    options = {"positions": choice["positions"], "rate": choice["rate"], "steps": steps}

    def run_seed(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        model, figures, costs = train(task, **options, seed=seed, folder=folder, code=code)
        return figures | search_figures(model, task, keep_answers=seed == 0), costs

    settings = settings_of(**options) | {
        "grid": choice["grid"],
        "trial steps": trial_steps or TRIAL_STEPS,
        "beam": BEAM_SIZE,
        "rankings": list(RANKINGS),
    }
    run_missing(rows, arm_name(steps), seeds=seeds, settings=settings, run=run_seed)
