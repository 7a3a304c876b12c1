"""From a model to text: greedy search, sampling and beam search; translating a list of sentences.

This room knows nothing of models but the contract ``model(ids, state) -> (logits, state)``; the
same three functions serve n-grams, recurrent networks and Transformers, with or without a source.
A torch model must be in evaluation mode (``fit`` leaves it there): dropout would disturb each step.
Beam search: Sutskever et al. 2014; length normalization: Wu et al. 2016 (``eq-length-penalty``);
a bonus per token: Murray and Chiang 2018 (``eq-token-bonus``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from utils.batches import length_groups
from utils.runtime import device_of
from utils.vocab import BOS, EOS, PAD

NEVER = (PAD, BOS)  # no model's answer contains these


def in_tree(change: Callable, state, *others):
    """The tree `state` with `change` of each tensor and of those that stand there in `others`."""
    if isinstance(state, torch.Tensor):
        return change(state, *others)
    if isinstance(state, dict):
        return {k: in_tree(change, x, *(o[k] for o in others)) for k, x in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(in_tree(change, *x) for x in zip(state, *others, strict=True))
    assert state is None, f"a state is a tree of tensors; found {type(state).__name__}"
    return None


def reorder(state, rows: torch.Tensor):
    """Take the batch rows `rows` (int64) of every tensor in the tree `state`."""
    return in_tree(lambda x: x.index_select(0, rows), state)


@torch.inference_mode()
def greedy(model, prompt: torch.Tensor, state=None, max_length: int = 100) -> list[list[int]]:
    """The most probable next token, again and again, until EOS or `max_length` tokens.

    `prompt`: ids (B, T), T ≥ 1, such as a column of BOS. Returns B lists without prompt and EOS.
    """
    return _extend(model, prompt, state, max_length, lambda logits, seen: logits.argmax(-1))


@torch.inference_mode()
def sample(
    model,
    prompt: torch.Tensor,
    state=None,
    max_length: int = 100,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    top_k: int | None = None,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition: float = 1.0,
) -> list[list[int]]:
    """Draw each next token from softmax(logits / temperature), until EOS or `max_length` tokens.

    In this order: `penalize_repetition` of prompt and text, temperature, `keep_top_k`,
    `keep_top_p`, `keep_min_p`. `generator`: a CPU generator, for the same text again on any device.
    Raises ValueError for a temperature that is not positive: for the limit 0 use `greedy`.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive, got {temperature}; for 0 use greedy()")

    def draw(logits: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        logits = penalize_repetition(logits.cpu().double(), seen.cpu(), repetition)  # (B, V)
        logits = logits - logits.max(-1, keepdim=True).values  # no overflow, however cold
        logits = logits / temperature
        logits = logits if top_k is None else keep_top_k(logits, top_k)
        p = keep_min_p(keep_top_p(logits, top_p), min_p).softmax(-1)
        return p.multinomial(1, generator=generator)[:, 0].to(prompt.device)

    return _extend(model, prompt, state, max_length, draw)


def keep_top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Logits (…, V) with all but the `k` highest at −∞ (``eq-top-k``; Fan et al. 2018)."""
    if k < 1 or k != int(k):
        raise ValueError(f"top_k must be a whole number from 1, got {k}")
    kept = logits.topk(min(int(k), logits.shape[-1]), -1).indices  # (…, k)
    return _only(logits, torch.zeros_like(logits, dtype=torch.bool).scatter(-1, kept, True))


def keep_top_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    """All at −∞ but the fewest most probable tokens that have at least probability `p` together.

    The nucleus of Holtzman et al. 2020 (``eq-top-p``): a token is in it where those above it have
    less than `p`.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {p}")
    if p == 1:
        return logits
    falling, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)  # (…, V)
    inside = falling.cumsum(-1) - falling < p
    return _only(logits, torch.zeros_like(inside).scatter(-1, order, inside))


def keep_min_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    """All at −∞ but tokens at least `p` times as probable as the best one.

    ``eq-min-p``; Nguyen et al. 2024.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"min_p must be from 0 to 1, got {p}")
    best = logits.max(-1, keepdim=True).values  # (…, 1)
    return logits if p == 0 else _only(logits, logits >= best + math.log(p))


def penalize_repetition(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits (B, V) of the ids in `seen` (B, n) divided by `penalty`, or times it below zero.

    ``eq-repetition-penalty``; Keskar et al. 2019, with its repair for negative logits; 1 changes
    nothing.
    """
    if not 0 < penalty < float("inf"):
        raise ValueError(f"repetition must be positive, above 1 to penalize, got {penalty}")
    found = logits.gather(-1, seen)  # (B, n)
    return logits.scatter(-1, seen, torch.where(found > 0, found / penalty, found * penalty))


def _only(logits: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return logits.masked_fill(~kept, float("-inf"))


def _extend(model, prompt, state, max_length, choose) -> list[list[int]]:
    """Call the model token by token; rows that have ended leave the batch."""
    _check_prompt(prompt, max_length)
    texts: list[list[int]] = [[] for _ in prompt]
    rows = torch.arange(len(prompt), device=prompt.device)  # the texts that still grow
    ids = seen = prompt
    for _ in range(max_length if len(prompt) else 0):
        logits, state = model(ids, state)
        token = choose(_allowed(logits[:, -1]), seen)  # (B,)
        for row, word in zip(rows.tolist(), token.tolist(), strict=True):
            if word != EOS:
                texts[row].append(word)
        alive = (token != EOS).nonzero()[:, 0]
        if len(alive) == 0:
            break
        if len(alive) < len(rows):
            state, rows, token = reorder(state, alive), rows[alive], token[alive]
            seen = seen[alive]
        ids = token[:, None]  # (B, 1)
        seen = torch.cat([seen, ids], 1)  # (B, T + what was written)
    return texts


@dataclass(frozen=True)
class Hypothesis:
    """One answer: ids without EOS, log-probability (PAD and BOS ruled out), normalized score."""

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
    bonus: float = 0.0,
    patience: float = 1.0,
) -> list[list[Hypothesis]]:
    """The best answers, at most `beam`, to each row of `prompt` (B, T), best first; rows together.

    Each step keeps the `beam` most probable open hypotheses; one ends when EOS is among the `beam`
    best continuations, and a row ends with its answer number `patience` · `beam` (Kasai et al.
    2024) or at `max_length` tokens, where open ones are taken as they stand. Answers are ranked by
    log p / ((5 + n) / 6) ** alpha + bonus · n (``eq-token-bonus``), n counting EOS; alpha 0 is no
    normalization. Raises ValueError for a beam below 1 or a patience that is not positive.
    """
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    if not patience > 0:
        raise ValueError(f"patience must be positive, got {patience}; 1 ends with `beam` answers")
    _check_prompt(prompt, max_length)
    done: list[list[Hypothesis]] = [[] for _ in prompt]
    rows = list(range(len(prompt)))  # the rows still searched, each with its open hypotheses:
    texts, scores = [[()] for _ in rows], [[0.0] for _ in rows]
    ids = prompt
    for length in range(1, max_length + 1):
        if not rows:
            break
        logits, state = model(ids, state)
        K, kept = len(texts[0]), []
        ranked = _best_continuations(_allowed(logits[:, -1]), scores, beam)
        for r, (row, found) in enumerate(zip(rows, ranked, strict=True)):
            ended, open_ = _continue(texts[r], found, beam)
            done[row] += [_hypothesis(*end, length, alpha, bonus) for end in ended]
            if open_ and len(done[row]) < patience * beam:
                # fillers, never chosen, keep the batch rectangular
                open_ += [(*open_[0][:2], float("-inf"))] * (beam - len(open_))
                kept.append((row, [r * K + parent for _, parent, _ in open_], open_))
        rows = [row for row, _, _ in kept]
        texts = [[text for text, _, _ in open_] for _, _, open_ in kept]
        scores = [[score for _, _, score in open_] for _, _, open_ in kept]
        parents = [parent for _, of_row, _ in kept for parent in of_row]
        state = reorder(state, torch.tensor(parents, dtype=torch.int64, device=prompt.device))
        last = [[text[-1]] for row in texts for text in row]
        ids = torch.tensor(last, device=prompt.device)  # (R·K, 1)
    for row, found, totals in zip(rows, texts, scores, strict=True):  # cut off by max_length
        cut = [s for s in zip(found, totals, strict=True) if s[1] > float("-inf")]
        done[row] += [_hypothesis(*end, max_length, alpha, bonus) for end in cut]
    return [sorted(found, key=lambda h: -h.score)[:beam] for found in done]


@torch.inference_mode()
def from_sources(
    model, sources: Sequence[Sequence[int]], search: Callable, batch_size: int = 100
) -> list:
    """What `search(model, prompt, state)` finds for each source, in the order of the sources.

    `search`: `greedy` or `beam_search`, with its other arguments fixed by functools.partial. At
    most `batch_size` sources of one length are encoded and searched together, so that nothing is
    padded. Raises ValueError for a source of zero tokens.
    """
    lengths = [len(source) for source in sources]
    if 0 in lengths:
        raise ValueError(f"source {lengths.index(0)} has no tokens; leave it out")
    found: list = [None] * len(sources)
    for group in length_groups(lengths, batch_size):
        source = torch.tensor([list(sources[i]) for i in group], device=device_of(model))  # (B, S)
        prompt = torch.full_like(source[:, :1], BOS)  # (B, 1)
        answers = search(model, prompt, model.encode(source))
        for i, answer in zip(group, answers, strict=True):
            found[i] = answer
    return found


def translate(
    model,
    sources: Sequence[str],
    tokenizer,
    beam: int | None = None,
    max_length: int = 60,
    batch_size: int = 100,
    alpha: float = 1.0,
    bonus: float = 0.0,
    patience: float = 1.0,
) -> list[str]:
    """The model's answer to each text of `sources`, in their order: `from_sources`, as text.

    By `greedy` without a `beam`, else the best of `beam_search` with `alpha`, `bonus` and
    `patience`. `tokenizer` encodes the sources and decodes the answers, each of at most
    `max_length` tokens.
    """
    ids = [tokenizer.encode(text) for text in sources]

    def search(*given):
        if beam is None:
            return greedy(*given, max_length)
        found = beam_search(*given, beam, max_length, alpha, bonus, patience)
        return [row[0].ids for row in found]

    return [tokenizer.decode(answer) for answer in from_sources(model, ids, search, batch_size)]


def _best_continuations(logits: torch.Tensor, scores: list[list[float]], beam: int) -> list:
    """Of each of R rows the best (score, parent, word), best first; logits (R·K, V), scores (R, K).

    Twice `beam` are enough: at most K ≤ `beam` of them end, one for each parent.
    """
    exact = torch.float32 if logits.device.type == "mps" else torch.float64  # mps has no float64
    R, K, V = len(scores), len(scores[0]), logits.shape[-1]
    steps = logits.to(exact).log_softmax(-1).view(R, K, V)
    totals = torch.tensor(scores, dtype=exact, device=logits.device)[:, :, None] + steps
    best, where = totals.view(R, K * V).topk(min(2 * beam, K * V), -1)  # (R, 2·beam)
    pairs = zip(best.tolist(), where.tolist(), strict=True)
    return [[(s, *divmod(i, V)) for s, i in zip(*row, strict=True)] for row in pairs]


def _continue(texts: list[tuple], ranked: list, beam: int) -> tuple[list, list]:
    """One row: (text, score) of those that end, (text, parent, score) of those that go on."""
    ended, open_ = [], []
    for rank, (score, parent, word) in enumerate(ranked):
        if score == float("-inf") or len(open_) == beam:
            break
        if word != EOS:
            open_.append(((*texts[parent], word), parent, score))
        elif rank < beam:
            ended.append((texts[parent], score))
    return ended, open_


def _hypothesis(text: tuple, log_p: float, length: int, alpha: float, bonus: float) -> Hypothesis:
    return Hypothesis(list(text), log_p, log_p / length_penalty(length, alpha) + bonus * length)


def _allowed(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, V) with those of PAD and BOS at −∞."""
    if logits.shape[-1] <= EOS:
        raise ValueError(f"a vocabulary of {logits.shape[-1]} has no EOS (id {EOS}) and no words")
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
