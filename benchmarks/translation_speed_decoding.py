"""The speed of decoding: in batches with caches, against one sentence at a time.

The part "decoding" of ``translation_speed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rounds import measure_in_turn, stored_speeds
from benchmarks.translation_speed_training import build_attention_gru, build_deep_transformer
from benchmarks.translation_task import BEAM_SIZE, MAX_LENGTH, TranslationTask
from benchmarks.tutorial_transformer import UncachedModel
from utils.data.pair_batches import PairBatches
from utils.decoding.beam_search import BeamConfig
from utils.decoding.translation import translate
from utils.models.contract import ConditionalLanguageModel
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import OptimizerFactory, adamw, muon

DECODED_WIDTH, DECODED_STEPS, DECODED_BATCH_SIZE = 256, 200, 64  # of the models that are decoded
SINGLE_SENTENCES = 20  # decoded one at a time in a round
BEAM = BeamConfig(BEAM_SIZE)


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

    build: Callable[..., EncoderDecoder]
    make_optimizer: OptimizerFactory
    beam: BeamConfig | None = None
    uncached: bool = False

    def translate(
        self, model: ConditionalLanguageModel, sources: Sequence[str], task: TranslationTask
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


def measure_decoding(task: TranslationTask, *, rounds: int) -> dict[str, Any]:
    """Compare each case, and return what is stored of it by its name.

    Parameters
    ----------
    task
        The data.
    rounds
        The number of rounds.

    Returns
    -------
    results : dict
        The results of each case by its name.
    """
    results = {}
    models: dict[Callable[..., EncoderDecoder], EncoderDecoder] = {}
    for name, case in DECODING_CASES.items():
        if case.build not in models:  # greedy and beam search decode with the same model
            models[case.build] = train_briefly(task, case)
        results[name] = compare_decoding(task, models[case.build], case, rounds=rounds)
        print(name, results[name], flush=True)
    return results


def train_briefly(task: TranslationTask, case: DecodingCase) -> EncoderDecoder:
    """Train the model of a case until it writes sentences and ends them.

    Parameters
    ----------
    task
        The data.
    case
        The model and the search.

    Returns
    -------
    model : EncoderDecoder
        The trained model.
    """
    seed_everything(0)
    model = case.build(len(task.tokenizer), width=DECODED_WIDTH)
    stream = PairBatches(task.train, batch_size=DECODED_BATCH_SIZE, seed=0)
    config = TrainConfig(steps=DECODED_STEPS)
    fit(model, stream, config, progress=False, make_optimizer=case.make_optimizer)
    return model


def compare_decoding(
    task: TranslationTask, model: EncoderDecoder, case: DecodingCase, *, rounds: int
) -> dict[str, Any]:
    """Compare the speeds of decoding in batches and one by one, and return what is stored of them.

    In each round the whole test set is decoded in batches, and another part of it one by one.

    Parameters
    ----------
        task
            The data.
        model
            The trained model of the case.
        case
            The model and the search.
        rounds
            The number of rounds.

    Returns
    -------
        results : dict
            The speeds.
    """
    single_model = UncachedModel(model) if case.uncached else model
    sources = [source for source, _ in task.corpus.test]
    in_batches: list[str] = []  # the answers of the last time, which are the same each time
    one_by_one: dict[int, str] = {}

    def measure_batches(_round: int) -> float:
        start = time.process_time()
        in_batches[:] = case.translate(model, sources, task)
        return len(sources) / (time.process_time() - start)

    def measure_single(i: int) -> float:
        indices = range(i * SINGLE_SENTENCES, (i + 1) * SINGLE_SENTENCES)
        start = time.process_time()
        for j in indices:
            (one_by_one[j],) = case.translate(single_model, [sources[j]], task)
        return len(indices) / (time.process_time() - start)

    speeds = measure_in_turn(
        measure_batches, measure_single, num_rounds=rounds, num_warmup_rounds=0
    )
    different = [j for j, answer in one_by_one.items() if answer != in_batches[j]]
    assert not different, f"sentences {different} were translated differently one by one"
    return stored_speeds(speeds)
