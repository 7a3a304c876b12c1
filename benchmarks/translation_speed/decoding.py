"""The speed of decoding in batches with caches, compared with one sentence at a time.

The part "decoding" of the benchmark ``translation_speed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.timing import measure_in_turn, stored_speeds
from benchmarks.translation.task import BEAM_SIZE, MAX_LENGTH, TranslationTask
from benchmarks.translation_speed.training import build_attention_gru, build_deep_transformer
from benchmarks.translation_speed.tutorial_transformer import UncachedModel
from utils.contract import ConditionalLanguageModel
from utils.data.pair_batches import PairBatches
from utils.decoding.beam_config import BeamConfig
from utils.decoding.translation import translate
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import OptimizerFactory, adamw, muon

DECODED_WIDTH, DECODED_BATCH_SIZE = 256, 64  # of the models that decode
DECODED_STEPS = 200  # of their training, by default
SINGLE_SENTENCES = 20  # decoded one at a time in a round, by default
BEAM = BeamConfig(BEAM_SIZE, patience=1)


@dataclass(frozen=True)
class DecodingCase:
    """A model and a search, in batches and one sentence at a time.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary and a width.
    make_optimizer
        Builds the optimizer that trains it.
    beam
        Options of beam search; None for greedy search.
    uncached
        Whether one sentence at a time is decoded without a cache.
    """

    build: Callable[..., EncoderDecoder[Any]]
    make_optimizer: OptimizerFactory
    beam: BeamConfig | None = None
    uncached: bool = False

    def translate(
        self, model: ConditionalLanguageModel[Any], sources: Sequence[str], task: TranslationTask
    ) -> list[str]:
        """Translate the sources in batches.

        Parameters
        ----------
        model
            The model.
        sources
            The sentences to translate.
        task
            The data.

        Returns
        -------
        translations : list of str
            The translation of each source.
        """
        return translate(model, sources, task.tokenizer, beam=self.beam, max_length=MAX_LENGTH)


DECODING_CASES = {
    "greedy": DecodingCase(build_attention_gru, adamw),
    f"beam of {BEAM_SIZE}": DecodingCase(build_attention_gru, adamw, BEAM),
    "Transformer, greedy, no cache": DecodingCase(build_deep_transformer, muon, uncached=True),
    f"Transformer, beam of {BEAM_SIZE}, no cache": DecodingCase(
        build_deep_transformer, muon, BEAM, uncached=True
    ),
}


def measure_decoding(
    task: TranslationTask, *, num_rounds: int, steps: int, num_sentences: int
) -> dict[str, Any]:
    """Compare the speeds of all cases.

    Parameters
    ----------
    task
        The data.
    num_rounds
        The number of rounds.
    steps
        Training steps of each model.
    num_sentences
        How many sentences to decode one at a time in a round.

    Returns
    -------
    results : dict
        What is stored of each case, by its name.

    Raises
    ------
    ValueError
        If the test set has too few sentences.
    """
    if num_rounds * num_sentences > len(task.corpus.test):
        raise ValueError(
            f"{num_rounds} rounds of {num_sentences} sentences need more than the "
            f"{len(task.corpus.test)} of the test set"
        )
    results = {}
    models: dict[Callable[..., EncoderDecoder[Any]], EncoderDecoder[Any]] = {}
    for name, case in DECODING_CASES.items():
        if case.build not in models:  # greedy and beam search decode with the same model
            models[case.build] = train_briefly(task, case, steps=steps)
        results[name] = compare_decoding(
            task, models[case.build], case, num_rounds=num_rounds, num_sentences=num_sentences
        )
        print(name, results[name], flush=True)
    return results


def train_briefly(task: TranslationTask, case: DecodingCase, *, steps: int) -> EncoderDecoder[Any]:
    """Train the model of a case so that it writes sentences and ends them.

    Parameters
    ----------
    task
        The data.
    case
        The model and the search.
    steps
        Training steps.

    Returns
    -------
    model : EncoderDecoder
        The trained model.
    """
    seed_everything(0)
    model = case.build(len(task.tokenizer), width=DECODED_WIDTH)
    stream = PairBatches(task.train, batch_size=DECODED_BATCH_SIZE, seed=0)
    config = TrainConfig(steps=steps)
    history = fit(model, stream, config, progress=False, make_optimizer=case.make_optimizer)
    history.raise_if_interrupted()
    return model


def compare_decoding(
    task: TranslationTask,
    model: EncoderDecoder[Any],
    case: DecodingCase,
    *,
    num_rounds: int,
    num_sentences: int,
) -> dict[str, Any]:
    """Compare the speeds of decoding in batches and one by one.

    In each round the whole test set is decoded in batches, and another part of it one by one.

    Parameters
    ----------
    task
        The data.
    model
        The trained model of the case.
    case
        The model and the search.
    num_rounds
        The number of rounds.
    num_sentences
        How many sentences to decode one at a time in a round.

    Returns
    -------
    results : dict
        What is stored of the speeds, in sentences per processor second.
    """
    single_model: ConditionalLanguageModel[Any] = UncachedModel(model) if case.uncached else model
    sources = [source for source, _ in task.corpus.test]
    in_batches: list[str] = []  # the answers of the last time, which are the same each time
    one_by_one: dict[int, str] = {}

    def measure_batches(_round: int) -> float:
        start = time.process_time()
        in_batches[:] = case.translate(model, sources, task)
        return len(sources) / (time.process_time() - start)

    def measure_single(i: int) -> float:
        indices = range(i * num_sentences, (i + 1) * num_sentences)
        start = time.process_time()
        for j in indices:
            (one_by_one[j],) = case.translate(single_model, [sources[j]], task)
        return len(indices) / (time.process_time() - start)

    speeds = measure_in_turn(
        measure_batches, measure_single, num_rounds=num_rounds, num_warmup_rounds=0
    )
    different = [j for j, answer in one_by_one.items() if answer != in_batches[j]]
    assert not different, f"sentences {different} were translated differently one by one"
    return stored_speeds(speeds)
