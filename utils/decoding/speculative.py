"""Speculative decoding: a cheap model proposes tokens, and the expensive one checks them at once.

Derived in section 6.2. Leviathan et al. 2023; Chen et al. 2023. The text has the distribution of
the expensive model, whatever the cheap one proposes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from utils.arguments import check_positive
from utils.contract import NextTokenModel
from utils.decoding.sampling import SamplingConfig
from utils.decoding.token_rules import allowed_logits
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
    """
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
    """
    excess = (p - q).clamp(min=0.0)
    total = excess.sum(-1, keepdim=True)
    return torch.where(total > 0, excess / total, p)


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
        Ids of one text, (1, T) with T ≥ 1.
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
        A generator on the CPU.

    Returns
    -------
    text : SpeculativeText
        The new tokens and the counts.

    Raises
    ------
    ValueError
        If the prompt is not (1, T ≥ 1) or a number is not positive, or a state cannot be rewound.
    """
    check_positive(draft_length=draft_length, max_length=max_length)
    if prompt.dim() != 2 or prompt.shape[0] != 1 or prompt.shape[1] == 0:
        raise ValueError(f"the prompt must be ids of one text, (1, T ≥ 1), got {prompt.shape}")

    def distribution(logits: torch.Tensor, ids: list[int]) -> torch.Tensor:
        """Return the distribution (V,) for logits (1, V) after all ids."""
        p = sampling.probabilities(allowed_logits(logits).double(), torch.tensor([ids]))  # (1, V)
        return p[0]

    def draw(p: torch.Tensor) -> int:
        """Draw a token."""
        return int(p.multinomial(1, generator=generator))

    before = prompt[0].tolist()
    with evaluation_mode(target), evaluation_mode(draft):
        logits, state = target(prompt, None)
        text = SpeculativeText([draw(distribution(logits[:, -1], before))], target_calls=1)
        draft_state: Any = None
        unread = [*before, *text.ids]  # what the draft model has not read
        while len(text.ids) < max_length:
            ids = [*before, *text.ids]
            count = min(draft_length, max_length - len(text.ids) - 1)
            proposal: list[int] = []
            q: list[torch.Tensor] = []  # the draft model's distribution of each proposal
            states = []  # of the draft model, when it had read all before that proposal
            for _ in range(count):
                logits, draft_state = draft(torch.tensor([unread]), draft_state)
                states.append(draft_state)
                q.append(distribution(logits[:, -1], [*ids, *proposal]))
                proposal.append(draw(q[-1]))
                unread = proposal[-1:]
            logits, state = target(torch.tensor([[ids[-1], *proposal]]), state)  # (1, count + 1, V)
            p = [distribution(logits[:, i], [*ids, *proposal[:i]]) for i in range(count + 1)]
            kept, new = _check_proposal(p, q, proposal, generator)
            new = draw(p[count]) if new is None else new
            state = rewind(state, count - kept)
            if kept < count:
                draft_state, unread = states[kept], []
            unread = [*unread, new]
            text.ids += [*proposal[:kept], new]
            text.proposed += count
            text.accepted += kept
            text.target_calls += 1
    return text


def _check_proposal(
    p: list[torch.Tensor],
    q: list[torch.Tensor],
    proposal: list[int],
    generator: torch.Generator | None,
) -> tuple[int, int | None]:
    """Return how many proposed tokens are accepted, and what replaces the first that is not."""
    for i, token in enumerate(proposal):
        uniform = torch.rand(1, generator=generator, dtype=torch.float64)
        if float(uniform) >= float(acceptance(p[i], q[i])[token]):
            return i, int(residual(p[i], q[i]).multinomial(1, generator=generator))
    return len(proposal), None
