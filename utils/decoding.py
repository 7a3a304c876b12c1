"""From a model to text: greedy search, sampling and beam search.

This room knows nothing of models but the contract ``model(ids, state) -> (logits, state)``; the
same three functions serve n-grams, recurrent networks and Transformers, with or without a source.
Beam search: Sutskever et al. 2014; length normalization: Wu et al. 2016 (``eq-length-penalty``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.vocab import BOS, EOS, PAD

NEVER = (PAD, BOS)  # no model's answer contains these


def reorder(state, rows: torch.Tensor):
    """Take the batch rows `rows` (int64) of every tensor in the tree `state`."""
    if isinstance(state, torch.Tensor):
        return state.index_select(0, rows)
    if isinstance(state, dict):
        return {key: reorder(value, rows) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(reorder(value, rows) for value in state)
    assert state is None, f"a state is a tree of tensors; found {type(state).__name__}"
    return None


@torch.inference_mode()
def greedy(model, prompt: torch.Tensor, state=None, max_length: int = 100) -> list[list[int]]:
    """The most probable next token, again and again, until EOS or `max_length` tokens.

    `prompt`: ids (B, T), T ≥ 1, such as a column of BOS. Returns B lists without prompt and EOS.
    """
    return _extend(model, prompt, state, max_length, lambda logits: logits.argmax(-1))


@torch.inference_mode()
def sample(
    model,
    prompt: torch.Tensor,
    state=None,
    max_length: int = 100,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Draw each next token from softmax(logits / temperature), until EOS or `max_length` tokens.

    `generator`: a CPU generator, for the same text again on any device.
    Raises ValueError for a temperature that is not positive: for the limit 0 use `greedy`.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}; for 0 use greedy()")

    def draw(logits: torch.Tensor) -> torch.Tensor:
        p = (logits.double() / temperature).softmax(-1).cpu()  # (B, V)
        return p.multinomial(1, generator=generator)[:, 0].to(logits.device)

    return _extend(model, prompt, state, max_length, draw)


def _extend(model, prompt, state, max_length, choose) -> list[list[int]]:
    """Call the model token by token; rows that have ended leave the batch."""
    _check_prompt(prompt, max_length)
    texts: list[list[int]] = [[] for _ in prompt]
    rows = torch.arange(len(prompt), device=prompt.device)  # the texts that still grow
    ids = prompt
    for _ in range(max_length):
        logits, state = model(ids, state)
        token = choose(_allowed(logits[:, -1]))  # (B,)
        for row, word in zip(rows.tolist(), token.tolist(), strict=True):
            if word != EOS:
                texts[row].append(word)
        alive = (token != EOS).nonzero()[:, 0]
        if len(alive) == 0:
            break
        if len(alive) < len(rows):
            state, rows, token = reorder(state, alive), rows[alive], token[alive]
        ids = token[:, None]  # (B, 1)
    return texts


@dataclass(frozen=True)
class Hypothesis:
    """One answer of a beam search: ids without EOS, its log-probability, its normalized score."""

    ids: list[int]
    log_probability: float
    score: float


def length_penalty(length, alpha: float):
    """((5 + length) / 6) ** alpha, which divides a log-probability (``eq-length-penalty``)."""
    return ((5 + length) / 6) ** alpha


@torch.inference_mode()
def beam_search(
    model,
    prompt: torch.Tensor,
    state=None,
    beam: int = 5,
    max_length: int = 100,
    alpha: float = 1.0,
) -> list[list[Hypothesis]]:
    """The best answers, at most `beam`, to each row of `prompt` (B, T), best first; rows together.

    Each step keeps the `beam` most probable open hypotheses; one ends when EOS is among the `beam`
    best continuations, and a row ends with its `beam`-th answer or at `max_length` tokens, where
    open ones are taken as they stand. Answers are ranked by log p / ((5 + n) / 6) ** alpha, n
    counting EOS; alpha 0 is no normalization. Raises ValueError for a beam below 1.
    """
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    _check_prompt(prompt, max_length)
    done: list[list[Hypothesis]] = [[] for _ in prompt]
    rows = list(range(len(prompt)))  # the rows still searched, each with its open hypotheses:
    texts, scores = [[()] for _ in rows], [[0.0] for _ in rows]
    ids = prompt
    for length in range(1, max_length + 1):
        if not rows:
            break
        logits, state = model(ids, state)
        steps = _allowed(logits[:, -1]).double().log_softmax(-1).cpu()  # (R·K, V)
        R, K, V = len(rows), len(texts[0]), steps.shape[-1]
        totals = torch.tensor(scores, dtype=torch.float64)[:, :, None] + steps.view(R, K, V)
        best, where = totals.view(R, K * V).topk(min(2 * beam, K * V), -1)  # K may end, not more
        kept = []
        for r, (row, *ranked) in enumerate(zip(rows, best.tolist(), where.tolist(), strict=True)):
            open_ = []
            for rank, (score, index) in enumerate(zip(*ranked, strict=True)):
                parent, word = divmod(index, V)
                if score == float("-inf") or len(open_) == beam:
                    break
                if word != EOS:
                    open_.append((score, r * K + parent, (*texts[r][parent], word)))
                elif rank < beam:
                    done[row].append(_hypothesis(texts[r][parent], score, length, alpha))
            if open_ and len(done[row]) < beam:  # fillers, never chosen, keep the batch rectangular
                kept.append((row, open_ + [(float("-inf"), *open_[0][1:])] * (beam - len(open_))))
        rows = [row for row, _ in kept]
        scores = [[score for score, _, _ in open_] for _, open_ in kept]
        texts = [[text for _, _, text in open_] for _, open_ in kept]
        parents = [parent for _, open_ in kept for _, parent, _ in open_]
        state = reorder(state, torch.tensor(parents, dtype=torch.int64, device=prompt.device))
        last = [[text[-1]] for row in texts for text in row]
        ids = torch.tensor(last, device=prompt.device)  # (R·K, 1)
    for row, found, totals in zip(rows, texts, scores, strict=True):  # cut off by max_length
        cut = [s for s in zip(found, totals, strict=True) if s[1] > float("-inf")]
        done[row] += [_hypothesis(text, score, max_length, alpha) for text, score in cut]
    return [sorted(found, key=lambda h: -h.score)[:beam] for found in done]


def _hypothesis(text: tuple, score: float, length: int, alpha: float) -> Hypothesis:
    return Hypothesis(list(text), score, score / length_penalty(length, alpha))


def _allowed(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, V) with those of PAD and BOS at −∞."""
    logits = logits.clone()
    logits[:, list(NEVER)] = float("-inf")
    return logits


def _check_prompt(prompt: torch.Tensor, max_length: int) -> None:
    if prompt.dim() != 2 or prompt.shape[1] == 0:
        raise ValueError(
            f"a prompt is ids of shape (B, T) with T ≥ 1, got {tuple(prompt.shape)}; "
            "start from a column of BOS"
        )
    if max_length < 0:
        raise ValueError(f"max_length must not be negative, got {max_length}")
