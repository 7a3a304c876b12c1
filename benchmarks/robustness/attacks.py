"""An attack that swaps words, ranked by the gradient with respect to their vectors.

Source: ``eq-hotflip`` (section 8.3); Ebrahimi et al. 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from benchmarks.robustness.networks import SentimentCNN
from benchmarks.robustness.sentences import Sentences
from utils.data.labelled_batches import LabelledBatch

SWAPS, TRIED = 3, 8  # words that an attack may swap, and how many swaps it tries for each
LEAST, MOST, BALANCE = 10, 300, 0.3  # uses of a neutral word, and its largest log-ratio
NEGATIONS = frozenset("without never nothing nobody none hardly neither cannot".split())


def neutral_pieces(sentences: Sentences) -> list[int]:
    """Return pieces that are whole words about as frequent in positive as in negative sentences.

    Parameters
    ----------
    sentences
        The reviews, whose training part is counted.

    Returns
    -------
    pieces : list of int
        Ids of words of four letters or more, none of them a negation.
    """
    texts, labels = sentences.part("train")
    counts: dict[str, list[int]] = {}
    totals = [0, 0]
    for text, label in zip(texts, labels, strict=True):
        for word in set(text.split()):
            counts.setdefault(word, [1, 1])[label] += 1
            totals[label] += 1
    vocabulary, found = sentences.tokenizer.backend.get_vocab(), []
    for token, piece in vocabulary.items():
        negative, positive = counts.get(token[1:], [1, 1])
        if not re.fullmatch("Ġ[a-z]{4,}", token) or token[1:] in NEGATIONS:
            continue
        ratio = torch.tensor(positive / totals[1]).log() - torch.tensor(negative / totals[0]).log()
        if LEAST <= negative + positive - 2 <= MOST and abs(float(ratio)) < BALANCE:
            found.append(piece)
    return sorted(found)


@dataclass(frozen=True, eq=False)
class WordSwaps:
    """An attack that swaps neutral words for neutral words.

    Parameters
    ----------
    candidates
        Ids of the neutral words.
    starts_word
        Whether a piece begins a new word or is no letter, (V,) bool: only then the piece before it
        is a whole word.
    """

    candidates: Sequence[int]
    starts_word: torch.Tensor

    @classmethod
    def of(cls, sentences: Sentences) -> WordSwaps:
        """Return the attack on sentences of film reviews."""
        tokens = sorted(sentences.tokenizer.backend.get_vocab().items(), key=lambda item: item[1])
        starts = [not re.match("[a-z]", token) for token, _ in tokens]
        return cls(neutral_pieces(sentences), torch.tensor(starts))

    def places(self, ids: Sequence[int]) -> list[int]:
        """Return the indices of neutral words in a sentence."""
        neutral = set(self.candidates)
        ends = [bool(self.starts_word[following]) for following in ids[1:]] + [True]
        return [
            i
            for i, (piece, end) in enumerate(zip(ids, ends, strict=True))
            if piece in neutral and end
        ]

    def attack(self, model: SentimentCNN, ids: list[int], label: int) -> list[list[int]]:
        """Return the sentence after 0, 1, … swaps, each the worst of those tried.

        A place is swapped once.

        Parameters
        ----------
        model
            The classifier in evaluation mode.
        ids, label
            The sentence and its label.

        Returns
        -------
        stages : list of list of int
            The sentence as it is and after each swap: SWAPS of them, or as many as it has neutral
            words if these are fewer.
        """
        stages, left = [ids], self.places(ids)
        while left and len(stages) <= SWAPS:
            now = stages[-1]
            swaps = self._best(model, now, label=label, places=left)
            tried = [[*now[:i], piece, *now[i + 1 :]] for i, piece in swaps]
            with torch.no_grad():
                losses = -model(torch.tensor(tried)).log_softmax(1)[:, label]  # (TRIED,)
            worst = int(losses.argmax())
            left.remove(swaps[worst][0])
            stages.append(tried[worst])
        return stages

    def _best(
        self, model: SentimentCNN, ids: list[int], *, label: int, places: list[int]
    ) -> list[tuple[int, int]]:
        """Return the swaps with the largest estimated gain of the loss, as (index, piece)."""
        vectors, batch = (
            model.vectors().detach(),
            LabelledBatch(torch.tensor([ids]), torch.tensor([label])),
        )
        x = vectors[batch.inputs].requires_grad_()  # (1, S, E)
        (slopes,) = torch.autograd.grad(F.cross_entropy(model(batch.inputs, x), batch.targets), x)
        pieces = torch.tensor(self.candidates)
        g = slopes[0, places]  # (P, E)
        gains = g @ vectors[pieces].T - (g * x[0, places]).sum(1, keepdim=True)  # (P, C)
        top = gains.flatten().topk(min(TRIED, gains.numel())).indices.tolist()
        return [(places[k // len(pieces)], int(pieces[k % len(pieces)])) for k in top]
