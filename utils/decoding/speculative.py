"""Speculative decoding: a cheap model proposes tokens, and the expensive one checks them at once.

Derived in section 6.2. Leviathan et al. 2023; Chen et al. 2023. The text has the distribution of
the expensive model, whatever the cheap one proposes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from utils.arguments import check_positive
from utils.contract import NextTokenModel, vocab_size_of
from utils.decoding.generation import check_prompt_and_state, prompt_lengths
from utils.decoding.input_ids import check_ids_of_model
from utils.decoding.sampling import SamplingConfig
from utils.decoding.token_rules import TokenRules, allowed_logits
from utils.runtime import evaluation_mode

PLAIN = SamplingConfig()
"""Sampling from the models' distributions as they are."""


@dataclass
class SpeculativeText:
    """A text that `speculative_sample` has written, and what it took.

    Parameters
    ----------
    ids
        The new tokens.
    proposed
        How many tokens the draft model has proposed.
    accepted
        How many of them were accepted.
    target_calls
        How often the target model was called, the reading of the prompt included.
    """

    ids: list[int]
    proposed: int = 0
    accepted: int = 0
    target_calls: int = 0


def acceptance(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Return the probability with which each token is accepted when it is proposed.

    Source: ``eq-speculative`` (section 6.2); Leviathan et al. 2023, section 2.3.

    Parameters
    ----------
    p, q
        The distributions of the target and of the draft model, (…, V).

    Returns
    -------
    probability : torch.Tensor
        min(1, p/q), (…, V); 1 where q is 0.

    Raises
    ------
    ValueError
        If the distributions are not floating-point numbers of one shape.
    """
    _check_distributions(p, q)
    return torch.where(q > 0, p / q, torch.ones_like(p)).clamp(max=1.0)


def residual(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Return the distribution from which a token is drawn after a rejection.

    Source: ``eq-speculative`` (section 6.2); Leviathan et al. 2023, section 2.3.

    Parameters
    ----------
    p, q
        The distributions of the target and of the draft model, (…, V).

    Returns
    -------
    r : torch.Tensor
        What p has more than q, normalized, (…, V); p itself where they are equal.

    Raises
    ------
    ValueError
        As `acceptance` does.
    """
    _check_distributions(p, q)
    excess = (p - q).clamp(min=0.0)
    total = excess.sum(-1, keepdim=True)
    return torch.where(total > 0, excess / total, p)


def _check_distributions(p: torch.Tensor, q: torch.Tensor) -> None:
    """Raise ValueError for distributions of different shapes, which would be broadcast."""
    if p.shape != q.shape or not (p.is_floating_point() and q.is_floating_point()):
        raise ValueError(
            "p and q must be floating-point numbers of one shape (…, V), got "
            f"{p.dtype} {tuple(p.shape)} and {q.dtype} {tuple(q.shape)}"
        )


@torch.inference_mode()
def speculative_sample(
    target: NextTokenModel[Any],
    draft: NextTokenModel[Any],
    prompt: torch.Tensor,
    *,
    rewind: Callable[[Any, int], Any],
    draft_length: int = 4,
    max_length: int = 100,
    sampling: SamplingConfig = PLAIN,
    generator: torch.Generator | None = None,
) -> SpeculativeText:
    """Write `max_length` tokens with the distribution of the target model.

    In each round the draft model proposes up to `draft_length` tokens. One call of the target model
    reads them all. They are accepted one after the other with probability min(1, p/q); the first
    one that is rejected is replaced by a draw from the residual distribution, and if all are
    accepted, one more token is drawn from the target's next distribution.

    Parameters
    ----------
    target, draft
        Two language models of one vocabulary. EOS is drawn as any other token.
    prompt
        Ids of one text, (1, T) with T ≥ 1, on the device of both models. PAD at its end is not
        read.
    rewind
        Takes a state of the target model and a number of tokens, and returns the state before the
        last so many of them: `utils.models.gpt_rewind.rewind_gpt` for a GPT.
    draft_length
        The number of tokens to propose in a round.
    max_length
        The number of tokens to write.
    sampling
        What shapes both models' distributions.
    generator
        A generator on the CPU, where all tokens are drawn, as by `sample`.

    Returns
    -------
    text : SpeculativeText
        The new tokens and the counts.

    Raises
    ------
    ValueError
        If the prompt is not ids of the vocabulary, (1, T ≥ 1), padded at the end, the models have
        vocabularies of different sizes, a number is not positive, or a state cannot be rewound.
    """
    check_positive(draft_length=draft_length, max_length=max_length)
    prompt = _check_prompt(target, draft, prompt, max_length=max_length)
    drawing, device = _Drawing(sampling, generator), prompt.device
    proposer, given = _Proposer(draft, drawing), prompt[0].tolist()
    with evaluation_mode(target), evaluation_mode(draft):
        logits, state = target(prompt, None)
        vocab_size = logits.shape[-1]
        first = drawing.draw(drawing.distribution(logits[:, -1], given))
        text = SpeculativeText([first], target_calls=1)
        while len(text.ids) < max_length:
            ids = [*given, *text.ids]
            count = min(draft_length, max_length - len(text.ids) - 1)
            proposal, q = proposer.propose(ids, count, device=device)
            if q:  # models without an embedding show their size in what they return
                _check_same_vocabulary(vocab_size, len(q[0]))
            unread = torch.tensor([[ids[-1], *proposal]], device=device)  # (1, count + 1)
            logits, state = target(unread, state)  # (1, count + 1, V)
            p = [
                drawing.distribution(logits[:, i], [*ids, *proposal[:i]]) for i in range(count + 1)
            ]
            kept, new = drawing.accept(proposal, p, q)
            state = rewind(state, count - kept)
            proposer.keep(kept)
            text.ids += [*proposal[:kept], new]
            text.proposed += count
            text.accepted += kept
            text.target_calls += 1
    return text


def _check_prompt(
    target: NextTokenModel[Any],
    draft: NextTokenModel[Any],
    prompt: torch.Tensor,
    *,
    max_length: int,
) -> torch.Tensor:
    """Return the prompt without PAD at its end; raise ValueError if a model cannot read it."""
    is_tensor = isinstance(prompt, torch.Tensor)
    if not is_tensor or prompt.dim() != 2 or len(prompt) != 1 or prompt.shape[1] == 0:
        shape = tuple(prompt.shape) if is_tensor else type(prompt).__name__
        raise ValueError(f"the prompt must be ids of one text, (1, T ≥ 1), got {shape}")
    _check_same_vocabulary(vocab_size_of(target), vocab_size_of(draft))
    prompt = check_prompt_and_state(target, prompt, None, max_length=max_length, rules=TokenRules())
    check_ids_of_model(draft, prompt)
    return prompt[:, : prompt_lengths(prompt)[0]]


def _check_same_vocabulary(target_size: int | None, draft_size: int | None) -> None:
    """Raise ValueError for vocabularies of different sizes; None is a size that is not known."""
    if None not in (target_size, draft_size) and target_size != draft_size:
        raise ValueError(
            f"the target has {target_size} tokens and the draft model {draft_size}: expected two "
            "models of one vocabulary"
        )


class _Drawing(NamedTuple):
    """How tokens are drawn: what shapes the distributions, and the random numbers."""

    sampling: SamplingConfig
    generator: torch.Generator | None

    def distribution(self, logits: torch.Tensor, ids: list[int]) -> torch.Tensor:
        """Return the distribution (V,), on the CPU, for logits (1, V) after all ids."""
        allowed = allowed_logits(logits.cpu()).double()
        return self.sampling.probabilities(allowed, torch.tensor([ids]))[0]

    def draw(self, p: torch.Tensor) -> int:
        """Draw a token from a distribution (V,)."""
        return int(p.multinomial(1, generator=self.generator))

    def accept(
        self, proposal: list[int], p: list[torch.Tensor], q: list[torch.Tensor]
    ) -> tuple[int, int]:
        """Return how many proposed tokens are accepted, and the token that is drawn after them.

        `q` has the draft model's distribution of each proposal, `p` those of the target model and
        one more.
        """
        for i, token in enumerate(proposal):
            uniform = torch.rand(1, generator=self.generator, dtype=torch.float64)
            if float(uniform) >= float(acceptance(p[i], q[i])[token]):
                return i, self.draw(residual(p[i], q[i]))
        return len(proposal), self.draw(p[-1])


class _Proposer:
    """The draft model, and how much of the text it has read."""

    def __init__(self, model: NextTokenModel[Any], drawing: _Drawing) -> None:
        self._model, self._drawing = model, drawing
        self._num_read, self._state = 0, None
        self._states: list[tuple[int, Any]] = []  # numbers of tokens read, and the states then

    def propose(
        self, ids: list[int], count: int, *, device: torch.device
    ) -> tuple[list[int], list[torch.Tensor]]:
        """Return `count` tokens after all `ids`, and the distribution (V,) of each."""
        proposal: list[int] = []
        q: list[torch.Tensor] = []
        self._states, num_read, state = [], self._num_read, self._state
        for _ in range(count):
            text = [*ids, *proposal]
            logits, state = self._model(torch.tensor([text[num_read:]], device=device), state)
            num_read = len(text)
            self._states.append((num_read, state))
            q.append(self._drawing.distribution(logits[:, -1], text))
            proposal.append(self._drawing.draw(q[-1]))
        return proposal, q

    def keep(self, kept: int) -> None:
        """Go back to the state after the last of the first `kept` proposals that was read."""
        if self._states:
            self._num_read, self._state = self._states[min(kept, len(self._states) - 1)]
