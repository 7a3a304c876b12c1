"""Hard attention: one position is drawn from the weights, and trained exactly or by REINFORCE."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch.nn import functional as F

from benchmarks.attention.networks import LuongDecoder, LuongState
from utils.data.batches import Batch
from utils.models.encoder_decoder import EncoderDecoder
from utils.training.objectives import token_nll

BASELINE_MEMORY = 0.9  # of the running mean of rewards

Model: TypeAlias = EncoderDecoder[LuongState]
Estimator: TypeAlias = Literal["soft", "mixture", "bound", "reinforce with baseline", "reinforce"]
Reading: TypeAlias = Literal["soft", "mixture", "one drawn", "largest weight"]


class HardObjective:
    """The loss whose gradient is that of REINFORCE, summed over targets.

    The position drawn for a word changes the prediction of that word only, so that its reward is
    the log-likelihood of one word.

    Source: ``eq-hard-gradient`` (section 4.2); Williams 1992.

    Parameters
    ----------
    has_baseline
        Whether the running mean of rewards is subtracted.

    Attributes
    ----------
    drawn_losses
        Of each call the mean negative log-likelihood from the drawn positions, in nats.
    """

    def __init__(self, *, has_baseline: bool) -> None:
        self.has_baseline = has_baseline
        self.baseline: float | None = None
        self.drawn_losses: list[float] = []

    def __call__(self, model: Model, batch: Batch) -> torch.Tensor:
        """Return a loss, summed over targets, whose gradient is the estimate."""
        queries, weights, states = _attend(model, batch)
        drawn = torch.distributions.Categorical(weights.detach()).sample()  # (B, T)
        contexts = states.gather(1, drawn[..., None].expand(-1, -1, states.shape[-1]))  # (B, T, D)
        log_p = _log_likelihood(_decoder(model).read(queries, contexts), batch.targets)  # (B, T)
        log_chosen = weights.gather(2, drawn[..., None])[..., 0].clamp(min=1e-30).log()  # (B, T)
        reward = log_p.detach()
        self.drawn_losses.append(-float(reward.mean()))
        baseline = self._next_baseline(float(reward.mean())) if self.has_baseline else 0.0
        return -(log_p + (reward - baseline) * log_chosen).sum()

    def _next_baseline(self, reward: float) -> float:
        """Return the mean of earlier rewards, and update it with the latest."""
        before = reward if self.baseline is None else self.baseline
        self.baseline = BASELINE_MEMORY * before + (1 - BASELINE_MEMORY) * reward
        return before


def mixture_nll(model: Model, batch: Batch) -> torch.Tensor:
    """Compute the negative log-likelihood of a hard choice, summed over all positions.

    Source: ``eq-hard-mixture`` (section 4.2).

    Parameters
    ----------
    model
        An encoder–decoder without input feeding.
    batch
        A batch without padding.

    Returns
    -------
    loss : torch.Tensor
        −Σ log Σ_s α_ts p(w_t | position s), in nats, a scalar.
    """
    log_weights, log_p = predict_from_each_position(model, batch)
    return -torch.logsumexp(log_p + log_weights, -1).sum()


def drawn_nll(model: Model, batch: Batch) -> torch.Tensor:
    """Compute the expected negative log-likelihood from one drawn position, over all draws.

    It is what REINFORCE minimizes, without the noise of drawing: an upper bound of `mixture_nll`.

    Source: ``eq-hard-gradient`` (section 4.2).

    Parameters
    ----------
    model, batch
        As for `mixture_nll`.

    Returns
    -------
    loss : torch.Tensor
        −Σ Σ_s α_ts log p(w_t | position s), in nats, a scalar.
    """
    log_weights, log_p = predict_from_each_position(model, batch)
    return -(log_weights.exp() * log_p).sum()


def largest_nll(model: Model, batch: Batch) -> torch.Tensor:
    """Compute the negative log-likelihood from the position of the largest weight.

    Parameters
    ----------
    model, batch
        As for `mixture_nll`.

    Returns
    -------
    loss : torch.Tensor
        In nats, a scalar.
    """
    log_weights, log_p = predict_from_each_position(model, batch)
    return -log_p.gather(-1, log_weights.argmax(-1, keepdim=True)).sum()


READINGS: dict[Reading, Callable[[Any, Batch], torch.Tensor]] = {
    "soft": token_nll,
    "mixture": mixture_nll,
    "one drawn": drawn_nll,
    "largest weight": largest_nll,
}
"""How a trained model turns its weights into a prediction."""


def predict_from_each_position(model: Model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the model's prediction from each source position alone.

    Parameters
    ----------
    model
        An encoder–decoder without input feeding.
    batch
        A batch; targets that do not count are read as the id 0.

    Returns
    -------
    log_weights : torch.Tensor
        Logarithms of the attention weights, (B, T, S).
    log_p : torch.Tensor
        Log-probabilities of the targets from the state of each position as the context, (B, T, S).
    """
    queries, weights, states = _attend(model, batch)
    num_steps, num_positions = weights.shape[1:]
    logits = _decoder(model).read(
        queries[:, :, None].expand(-1, -1, num_positions, -1),
        states[:, None].expand(-1, num_steps, -1, -1),
    )  # (B, T, S, V)
    targets = batch.targets.clamp(min=0)[..., None].expand(-1, -1, num_positions)  # (B, T, S)
    return weights.clamp(min=1e-30).log(), _log_likelihood(logits, targets)


def _decoder(model: Model) -> LuongDecoder:
    """Return the decoder of a model of this benchmark."""
    assert isinstance(model.decoder, LuongDecoder)
    return model.decoder


def _attend(model: Model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries (B, T, D), weights (B, T, S) and the encoder's states (B, S, D)."""
    assert batch.source is not None
    state = model.begin(batch.source)
    queries, weights = _decoder(model).queries_and_weights(batch.inputs, state)
    return queries, weights, state.states


def _log_likelihood(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return log p of targets (…) from logits (…, V); there is no padding."""
    return -F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(
        targets.shape
    )


def effective_positions(rows: Sequence[torch.Tensor]) -> float:
    """Return exp of the mean entropy of weights (…, S): the effective number of positions."""
    entropies = torch.cat([torch.special.entr(row).sum(-1).flatten() for row in rows])
    return math.exp(float(entropies.mean()))
