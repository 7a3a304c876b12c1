"""Losses and BLEU of a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import torch

from benchmarks.seq2seq.task import LONG, Recipe, Task
from utils.data.batches import IGNORE_INDEX
from utils.data.pair_batches import IdPair, pair_eval_batches
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import best_sequences
from utils.decoding.translation import decode_sources
from utils.metrics.text import bleu
from utils.models.encoder_decoder import EncoderDecoder
from utils.states import LSTMState

MAX_LENGTH = 60  # tokens of a translation
BEAM_SIZE = 5
POSITIONS = 16  # of the target, whose losses are stored one by one
FIFTHS = 5  # of the test sentences, by the length of their source

Model: TypeAlias = EncoderDecoder[LSTMState]
Figures: TypeAlias = dict[str, Any]


def translate(
    model: Model, task: Task, pairs: Sequence[IdPair], *, beam: BeamConfig | None = None
) -> list[str]:
    """Translate the sources of pairs.

    Parameters
    ----------
    model
        A trained model.
    task
        The data, whose tokenizer makes texts of ids.
    pairs
        Ids of sources, in the order that the model reads, and of targets.
    beam
        The options of beam search; None for greedy search.

    Returns
    -------
    texts : list of str
        The translations.
    """
    search = partial(best_sequences, beam=beam, max_length=MAX_LENGTH)
    found = decode_sources(model, [source for source, _ in pairs], search)
    return [task.tokenizer.decode(ids) for ids in found]


def measure(model: Model, task: Task, recipe: Recipe) -> Figures:
    """Measure a trained model on the test sentences; of `LONG`, keep the translations too.

    Parameters
    ----------
    model
        A trained model.
    task
        The data.
    recipe
        The recipe, which says how the model reads a source.

    Returns
    -------
    figures : dict
        Losses in nats per piece and BLEU, by their names in the rows.
    """
    pairs, references = task.pairs("test", recipe), [target for _, target in task.texts["test"]]
    greedy = translate(model, task, pairs)
    by_position, mean = losses_by_position(model, pairs)
    figures: Figures = {
        "test loss": mean,
        "loss by position": by_position,
        "BLEU": bleu(greedy, references),
        "BLEU by fifth": bleu_by_fifth(greedy, references, [len(source) for source, _ in pairs]),
    }
    if recipe == LONG:
        beam = translate(model, task, pairs, beam=BeamConfig(BEAM_SIZE))
        figures |= {"beam BLEU": bleu(beam, references), "greedy": greedy, "beam": beam}
    return figures


@torch.no_grad()
def losses_by_position(model: Model, pairs: Sequence[IdPair]) -> tuple[list[float], float]:
    """Compute the mean loss of the first, second, … piece of the target, EOS included.

    Parameters
    ----------
    model
        A trained model.
    pairs
        Ids of sources, in the order that the model reads, and of targets.

    Returns
    -------
    by_position : list of float
        The losses of the first POSITIONS pieces, in nats.
    mean : float
        The loss of all pieces, in nats per piece.
    """
    longest = 1 + max(len(target) for _, target in pairs)
    total, count = torch.zeros(longest), torch.zeros(longest)
    for batch in pair_eval_batches(pairs, batch_size=128):
        assert batch.source is not None
        logits, _ = model(batch.inputs, model.begin(batch.source))
        wanted = batch.targets != IGNORE_INDEX  # (B, T)
        targets = batch.targets.clamp(min=0)[..., None]
        nll = -logits.log_softmax(-1).gather(2, targets)[..., 0]  # (B, T)
        T = nll.shape[1]
        total[:T] += (nll * wanted).sum(0)
        count[:T] += wanted.sum(0)
    by_position = (total / count.clamp(min=1))[:POSITIONS]
    return by_position.tolist(), float(total.sum() / count.sum())


def bleu_by_fifth(
    answers: Sequence[str], references: Sequence[str], lengths: Sequence[int]
) -> list[dict[str, float]]:
    """Compute BLEU of each fifth of the sentences, ordered by the length of their source.

    Parameters
    ----------
    answers, references
        Translations and what they are compared with.
    lengths
        Pieces of each source.

    Returns
    -------
    rows : list of dict
        "length", the mean of a fifth, and "BLEU".
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    rows = []
    for k in range(FIFTHS):
        inside = order[k * len(order) // FIFTHS : (k + 1) * len(order) // FIFTHS]
        score = bleu([answers[i] for i in inside], [references[i] for i in inside])
        rows.append({"length": sum(lengths[i] for i in inside) / len(inside), "BLEU": score})
    return rows
