"""Attacks that change tokens: words of a sentence, and a suffix of a prompt.

Both rank replacements by the gradient with respect to the vectors (``eq-hotflip``, section 8.3).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from benchmarks.robustness.networks import Judge
from benchmarks.robustness.sentences import Sentences
from utils.data.labelled_batches import LabelledBatch
from utils.models.gpt import GPT

SWAPS, TRIED = 3, 8  # words that an attack may swap, and how many swaps it tries for each
LEAST, MOST, BALANCE = 10, 300, 0.3  # uses of a neutral word, and its largest log-ratio
NEGATIONS = frozenset("without never nothing nobody none hardly neither cannot".split())


def neutral_pieces(sentences: Sentences) -> list[int]:
    """Return pieces that are whole words about as frequent in praise as in blame.

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
        blame, praise = counts.get(token[1:], [1, 1])
        if not re.fullmatch("Ġ[a-z]{4,}", token) or token[1:] in NEGATIONS:
            continue
        ratio = torch.tensor(praise / totals[1]).log() - torch.tensor(blame / totals[0]).log()
        if LEAST <= blame + praise - 2 <= MOST and abs(float(ratio)) < BALANCE:
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

    def attack(
        self, model: Judge, ids: list[int], label: int, draw: random.Random | None = None
    ) -> list[list[int]]:
        """Return the sentence after 0, 1, … swaps, each the worst of those tried.

        A place is swapped once.

        Parameters
        ----------
        model
            The classifier in evaluation mode.
        ids, label
            The sentence and its label.
        draw
            Draws the TRIED swaps of a step; None for those with the largest estimates.

        Returns
        -------
        stages : list of list of int
            The sentence as it is and after each swap: SWAPS of them, or as many as it has neutral
            words if these are fewer.
        """
        stages, left = [ids], self.places(ids)
        while left and len(stages) <= SWAPS:
            now = stages[-1]
            if draw is None:
                swaps = self._best(model, now, label, left)
            else:
                swaps = [(draw.choice(left), draw.choice(self.candidates)) for _ in range(TRIED)]
            tried = [[*now[:i], piece, *now[i + 1 :]] for i, piece in swaps]
            with torch.no_grad():
                losses = -model(torch.tensor(tried)).log_softmax(1)[:, label]  # (TRIED,)
            worst = int(losses.argmax())
            left.remove(swaps[worst][0])
            stages.append(tried[worst])
        return stages

    def _best(
        self, model: Judge, ids: list[int], label: int, places: list[int]
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


@dataclass(frozen=True, eq=False)
class SuffixTask:
    """A prompt, room for a suffix, and the text that is wanted after it.

    Parameters
    ----------
    prompt, target
        Pieces of the prompt and of the wanted text.
    allowed
        Pieces that a suffix may have.
    """

    prompt: list[int]
    target: list[int]
    allowed: torch.Tensor

    def losses(self, model: GPT, suffixes: torch.Tensor) -> torch.Tensor:
        """Return −log p(target | prompt, suffix) in nats, (N,), of suffixes (N, m)."""
        N, m = suffixes.shape
        prompt, target = torch.tensor(self.prompt), torch.tensor(self.target)
        ids = torch.cat([prompt.expand(N, -1), suffixes, target.expand(N, -1)], 1)  # (N, T)
        with torch.no_grad():
            logits, _ = model(ids[:, :-1])  # (N, T − 1, V)
        logs = logits[:, len(self.prompt) + m - 1 :].log_softmax(-1)  # (N, target, V)
        return -logs.gather(2, target.expand(N, -1)[..., None]).sum((1, 2))

    def slopes(self, model: GPT, suffix: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the loss at each vector of a suffix.

        A hook adds a zero to the vectors, with respect to which the gradient is taken.

        Parameters
        ----------
        model
            The language model in evaluation mode.
        suffix
            Pieces of the suffix, (m,).

        Returns
        -------
        slopes : torch.Tensor
            The gradient of −log p(target | prompt, suffix) in nats, (m, D).
        """
        ids = torch.tensor([[*self.prompt, *suffix.tolist(), *self.target]])  # (1, T)
        change = torch.zeros(1, ids.shape[1] - 1, model.embedding.embedding_dim, requires_grad=True)
        handle = model.embedding.register_forward_hook(lambda *args: args[2] + change)
        try:
            logits, _ = model(ids[:, :-1])
        finally:
            handle.remove()
        start = len(self.prompt) + len(suffix)
        loss = F.cross_entropy(logits[0, start - 1 :], ids[0, start:], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, change)
        return gradient[0, len(self.prompt) : start]


def search_suffix(
    model: GPT,
    task: SuffixTask,
    *,
    length: int,
    steps: int,
    passes: int,
    use_gradient: bool,
    seed: int,
    best: int = 32,
) -> tuple[torch.Tensor, list[float]]:
    """Search for a suffix after which the target is probable, one replacement a step.

    With the gradient this is greedy coordinate gradient (Zou et al. 2023). A forward and backward
    pass counts as three forward passes, so that both searches have the same budget.

    Parameters
    ----------
    model
        The language model in evaluation mode.
    task
        Prompt and target.
    length
        Number m of pieces of the suffix.
    steps, passes
        Number of steps, and of forward passes in each.
    use_gradient
        Whether replacements are drawn from the `best` of each place by the gradient, or from all.
    seed
        Draws the first suffix and the replacements.
    best
        Number of pieces of each place that the gradient leaves.

    Returns
    -------
    suffix : torch.Tensor
        The best suffix, (m,).
    losses : list of float
        Its loss at the start and after each step.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(high: int, count: int) -> torch.Tensor:
        return torch.randint(high, (count,), generator=generator)

    allowed, vectors = task.allowed, model.embedding.weight.detach()
    suffix = allowed[drawn(len(allowed), length)]
    losses = [float(task.losses(model, suffix[None])[0])]
    for _ in range(steps):
        count = passes - 3 if use_gradient else passes
        places = drawn(length, count)  # (N,)
        if use_gradient:
            gains = -task.slopes(model, suffix) @ vectors[allowed].T  # (m, A)
            ranked = gains.topk(best, dim=1).indices  # (m, best)
            chosen = allowed[ranked[places, drawn(best, count)]]
        else:
            chosen = allowed[drawn(len(allowed), count)]
        tried = suffix.repeat(count, 1)  # (N, m)
        tried[torch.arange(count), places] = chosen
        found = task.losses(model, tried)
        if float(found.min()) < losses[-1]:
            suffix = tried[int(found.argmin())]
        losses.append(min(losses[-1], float(found.min())))
    return suffix, losses
