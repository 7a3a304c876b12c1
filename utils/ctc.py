"""Connectionist temporal classification: likelihood, gradient, and search with a language model.

Derived in notebooks/06-3. Loss: Graves et al. 2006; prefix beam search with a language model:
Hannun et al. 2014; shallow fusion: Gulcehre et al. 2015. The blank takes the place of PAD, so that
tokens have the same ids here and in a language model.
Letters: B batch, S places in time, L tokens said, V vocabulary, K beam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from utils.batches import IGNORE
from utils.decoding import in_tree, reorder
from utils.runtime import device_of
from utils.vocab import BOS, EOS, PAD, UNK

BLANK = PAD
NEVER = [BLANK, BOS, EOS, UNK]  # nothing that is said
NONE = float("-inf")


def collapse(path: Sequence[int]) -> list[int]:
    """What an alignment says: repeats become one, then blanks go (``eq-ctc-collapse``)."""
    return [w for i, w in enumerate(path) if w != BLANK and (i == 0 or w != path[i - 1])]


def with_blanks(ids: Sequence[int]) -> list[int]:
    """L tokens with a blank before, between and after them: 2·L + 1."""
    return [BLANK, *(x for w in ids for x in (w, BLANK))]


def forward_variables(log_p: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """log α (S, 2·L + 1): all ways to have said so much by each place (``eq-ctc-forward``).

    `log_p` (S, V); of the extended text `with_blanks(ids)`, α counts the place's own probability.
    """
    text = with_blanks(ids)
    skip = [i >= 2 and w not in (BLANK, text[i - 2]) for i, w in enumerate(text)]
    skip = torch.tensor(skip, device=log_p.device)
    emitted = log_p[:, text]  # (S, 2·L + 1)
    alpha = torch.full_like(emitted, NONE)
    alpha[0, :2] = emitted[0, :2]
    for t in range(1, len(log_p)):
        stay = alpha[t - 1]
        one = F.pad(stay[:-1], (1, 0), value=NONE)
        two = F.pad(stay, (2, 0), value=NONE)[: len(text)].masked_fill(~skip, NONE)
        alpha[t] = torch.stack([stay, one, two]).logsumexp(0) + emitted[t]
    return alpha


def backward_variables(log_p: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """log β (S, 2·L + 1): all ways to say the rest after each place (``eq-ctc-backward``).

    The recursion is the forward one on the reversed sound and text; the place's own probability,
    which α has counted, is taken out.
    """
    turned = forward_variables(log_p.flip(0), list(ids)[::-1]).flip(0, 1)
    return torch.where(turned == NONE, NONE, turned - log_p[:, with_blanks(ids)])


def loss(log_p: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """−log p(ids | sound) by log-probabilities (S ≥ 1, V) (``eq-ctc``); ∞ where S is too small."""
    return -forward_variables(log_p, ids)[-1, -2:].logsumexp(0)


def gradient(log_p: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """The derivative of `loss` by the logits behind `log_p` (S, V) (``eq-ctc-gradient``).

    What is predicted minus what was said: p minus the share of all alignments that pass here.
    Raises ValueError where no alignment gives the text.
    """
    both = forward_variables(log_p, ids) + backward_variables(log_p, ids)  # (S, 2·L + 1)
    whole = both[-1].logsumexp(0)
    if whole.isneginf():
        raise ValueError(f"no alignment of {len(log_p)} places gives these {len(ids)} tokens")
    share = (both - whole).exp()
    text = torch.tensor(with_blanks(ids), device=log_p.device).expand_as(share)
    return log_p.exp() - torch.zeros_like(log_p).scatter_add(1, text, share)


def fast_loss(log_p: torch.Tensor, places: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """`loss` of a batch by torch: log_p (B, S, V), places (B,), targets (B, L) → (B,).

    Targets are padded with IGNORE. Raises ValueError where a row has fewer places than its tokens
    and the blanks between equal ones need.
    """
    lengths = (targets != IGNORE).sum(1)
    needed = lengths + ((targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] != IGNORE)).sum(1)
    if (needed > places).any():
        row = int((needed > places).nonzero()[0])
        raise ValueError(f"row {row} has {places[row]} places for {needed[row]} tokens and blanks")
    targets = targets.masked_fill(targets == IGNORE, BLANK)
    return F.ctc_loss(log_p.transpose(0, 1), targets, places, lengths, BLANK, "none")


def greedy(log_p: torch.Tensor) -> list[int]:
    """The likeliest token of each place of (S, V), collapsed: the best path, not the best text."""
    return collapse(log_p.argmax(-1).tolist())


@dataclass(frozen=True)
class Found:
    """A text with its log-probabilities: `acoustic` log p(w | x), `language` log p(w), `score`."""

    ids: list[int]
    acoustic: float
    language: float
    score: float


@torch.inference_mode()
def beam_search(
    sounds: Sequence[torch.Tensor],
    beam: int = 8,
    model=None,
    weight: float = 0.0,
    bonus: float = 0.0,
) -> list[list[Found]]:
    """The best texts for each of `sounds`, log-probabilities (S, V) each, best first.

    They maximise log p(w | x) + `weight` · log p(w) + `bonus` · tokens (``eq-fusion``), where p(w),
    EOS included, is any model of the contract whose state keeps its shape from token to token.
    All sounds advance together, a prefix of a text at a time: alignments of one prefix are summed
    (``eq-ctc-prefix``). The search runs on the CPU. Raises ValueError for a beam below 1, a
    vocabulary of another size, or a model elsewhere.
    """
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    if weight and device_of(model).type != "cpu":
        raise ValueError(f"the search runs on the CPU; move the model from {device_of(model)}")
    if not len(sounds):
        return []
    log_p = torch.nn.utils.rnn.pad_sequence([s.cpu().double() for s in sounds], batch_first=True)
    for row, sound in zip(log_p, sounds, strict=True):
        row[len(sound) :] = NONE
        row[len(sound) :, BLANK] = 0.0  # beyond its end a sound says nothing
    search = _Search(log_p, beam, model, weight, bonus)
    for place in log_p.unbind(1):
        search.advance(place)
    return search.results()


class _Search:
    """Prefixes of texts, K for each of B sounds, and what the two models say of them."""

    def __init__(self, log_p: torch.Tensor, beam: int, model, weight: float, bonus: float):
        self.B, S, self.V = log_p.shape
        self.K, self.weight, self.bonus = beam, weight, bonus
        self.model = model if weight else None
        empty = log_p.new_full((self.B, beam), NONE)  # (B, K)
        self.blank, self.label = empty.clone(), empty.clone()  # by how the alignment ends
        self.blank[:, 0] = 0.0  # at first, one prefix that says nothing
        self.texts = torch.full((self.B, beam, S + 1), PAD)  # (B, K, S + 1); PAD after the end
        self.lengths = torch.zeros(self.B, beam, dtype=torch.int64)  # (B, K)
        self.language = torch.zeros_like(empty)
        self.next, self.state = log_p.new_zeros(self.B, beam, self.V), None
        if self.model is not None:
            logits, self.state = self.model(torch.full((self.B * beam, 1), BOS), None)
            if logits.shape[-1] != self.V:
                raise ValueError(
                    f"the language model has {logits.shape[-1]} tokens, the sound {self.V}: "
                    "both need one vocabulary"
                )
            self.next = _log_softmax(logits).view(self.B, beam, self.V)

    def advance(self, x: torch.Tensor) -> None:
        """One place in time, x (B, V): every prefix stays or grows by a token; keep the best K."""
        both = torch.logaddexp(self.blank, self.label)  # (B, K)
        last = self.texts.gather(2, (self.lengths - 1).clamp(min=0)[..., None])  # (B, K, 1)
        stay_label = self.label + x.gather(1, last[..., 0])
        grow = both[..., None].repeat(1, 1, self.V).scatter(2, last, self.blank[..., None])
        grow = grow + x[:, None]  # (B, K, V); a repeat is a new token after a blank only
        grow[..., NEVER] = NONE
        grow, stay_label = self._merge(grow, stay_label, last)
        stay_blank = both + x[:, BLANK, None]
        score = self.bonus * self.lengths.double() + self.weight * self.language  # (B, K)
        longer = grow + self.bonus + score[..., None]
        longer = longer + self.weight * self.next if self.weight else longer
        stayed = torch.logaddexp(stay_blank, stay_label) + score
        _, chosen = torch.cat([stayed, longer.flatten(1)], 1).topk(self.K, 1)  # (B, K)
        self._take(chosen, stay_blank, stay_label, grow)

    def _merge(self, grow, stay_label, last):
        """Where a prefix grows into another one that is in the beam, the two are one."""
        shorter = self.texts.scatter(2, (self.lengths - 1).clamp(min=0)[..., None], PAD)
        same = (self.texts[:, :, None] == shorter[:, None]).all(-1)  # (B, parent, child)
        same &= self.lengths[:, :, None] + 1 == self.lengths[:, None]
        alive = torch.logaddexp(self.blank, self.label) > NONE  # the rest only fills the beam
        same &= alive[:, :, None] & alive[:, None]
        words = last[..., 0][:, None].expand_as(same)  # (B, parent, child): the child's last token
        into = grow.gather(2, words).masked_fill(~same, NONE)
        stay_label = torch.logaddexp(stay_label, into.logsumexp(1))
        taken = torch.zeros_like(grow).scatter_add(2, words, same.to(grow.dtype)) > 0
        return grow.masked_fill(taken, NONE), stay_label

    def _take(self, chosen, stay_blank, stay_label, grow) -> None:
        """Let the chosen prefixes, 0 … K − 1 that stay or K + k·V + w that grow, be the beam."""
        grows = chosen >= self.K
        parent = torch.where(grows, (chosen - self.K) // self.V, chosen)  # (B, K)
        word = ((chosen - self.K) % self.V).masked_fill(~grows, PAD)
        grown = grow.flatten(1).gather(1, (chosen - self.K).clamp(min=0))
        self.blank = stay_blank.gather(1, parent).masked_fill(grows, NONE)
        self.label = torch.where(grows, grown, stay_label.gather(1, parent))
        of_word = self.next.flatten(1).gather(1, parent * self.V + word)
        self.language = self.language.gather(1, parent) + of_word.masked_fill(~grows, 0.0)
        self.lengths = self.lengths.gather(1, parent)
        texts = self.texts.gather(1, parent[..., None].expand_as(self.texts))
        self.texts = texts.scatter(2, self.lengths[..., None], word[..., None])
        self.lengths = self.lengths + grows
        rows = (parent + self.K * torch.arange(self.B)[:, None]).flatten()
        alive = grows & (torch.logaddexp(self.blank, self.label) > NONE)
        self.next = self.next.flatten(0, 1)[rows]
        if self.model is not None:
            self._ask(rows, alive.flatten(), word.flatten())
        self.next = self.next.view(self.B, self.K, self.V)

    def _ask(self, rows, alive, word) -> None:
        """Reorder the model's states; where a prefix has grown, let the model read the token."""
        before, self.state = self.state, reorder(self.state, rows)
        if alive.any():
            logits, after = self.model(word[alive][:, None], reorder(before, rows[alive]))
            self.state = _put(self.state, alive.nonzero()[:, 0], after)
            self.next[alive] = _log_softmax(logits)

    def results(self) -> list[list[Found]]:
        acoustic = torch.logaddexp(self.blank, self.label)
        language = self.language + self.next[..., EOS] * (self.model is not None)
        score = acoustic + self.bonus * self.lengths.double()
        score = score + self.weight * language if self.weight else score
        found = [
            [Found(t[:n], *numbers) for t, n, *numbers in zip(*row, strict=True)]
            for row in zip(*(x.tolist() for x in (self.texts, self.lengths, acoustic, language,
                                                  score)), strict=True)
        ]  # fmt: skip
        return [sorted((f for f in row if f.acoustic > NONE), key=lambda f: -f.score)
                for row in found]  # fmt: skip


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Logits (R, T, V) → log-probabilities of the token after the last, (R, V) float64."""
    return logits[:, -1].double().log_softmax(-1)


def _put(state, rows: torch.Tensor, new):
    """The tree `state` with its batch rows `rows` taken from `new`."""

    def put(old: torch.Tensor, of_new: torch.Tensor) -> torch.Tensor:
        if old.shape[1:] != of_new.shape[1:]:
            raise ValueError(
                "the language model's state grows with the text, and prefixes differ in length: "
                "take a model with a state of one shape, such as an n-gram or a recurrent one"
            )
        return old.index_copy(0, rows, of_new)

    return in_tree(put, state, new)
