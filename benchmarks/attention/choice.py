"""Hard attention: a place is drawn from the weights, and trained by REINFORCE or exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch.nn import functional as F

from benchmarks.attention.networks import LuongDecoder, LuongState
from utils.data.batches import Batch
from utils.models.encoder_decoder import EncoderDecoder

BASELINE_MEMORY = 0.9  # of the running mean of rewards

Model: TypeAlias = EncoderDecoder[LuongState]
Estimator: TypeAlias = Literal["soft", "exact", "reinforce", "reinforce with baseline"]


class HardObjective:
    """The loss whose gradient is that of REINFORCE, summed over targets.

    The place of a word changes the prediction of that word only, so that its reward is the
    log-likelihood of one word.

    Source: ``eq-hard-gradient`` (section 4.2); Williams 1992.

    Parameters
    ----------
    has_baseline
        Whether the running mean of rewards is subtracted.
    """

    def __init__(self, *, has_baseline: bool) -> None:
        self.has_baseline = has_baseline
        self.baseline: float | None = None

    def __call__(self, model: Model, batch: Batch) -> torch.Tensor:
        """Return a loss, summed over targets, whose gradient is the estimate."""
        queries, weights, states = _look(model, batch)
        places = torch.distributions.Categorical(weights.detach()).sample()  # (B, T)
        contexts = states.gather(1, places[..., None].expand(-1, -1, states.shape[-1]))  # (B, T, D)
        log_p = _log_likelihood(_decoder(model).read(queries, contexts), batch.targets)  # (B, T)
        log_chosen = weights.gather(2, places[..., None])[..., 0].clamp(min=1e-30).log()  # (B, T)
        reward = log_p.detach()
        baseline = self._next_baseline(float(reward.mean())) if self.has_baseline else 0.0
        return -(log_p + (reward - baseline) * log_chosen).sum()

    def _next_baseline(self, reward: float) -> float:
        """Return the mean of earlier rewards, and take up the latest."""
        before = reward if self.baseline is None else self.baseline
        self.baseline = BASELINE_MEMORY * before + (1 - BASELINE_MEMORY) * reward
        return before


def mixture_nll(model: Model, batch: Batch) -> torch.Tensor:
    """Compute the negative log-likelihood of a hard choice, summed over all places.

    Source: ``eq-hard-mixture`` (section 4.2).

    Parameters
    ----------
    model
        An encoder–decoder without input feeding.
    batch
        A batch.

    Returns
    -------
    loss : torch.Tensor
        −Σ log Σ_s α_ts p(w_t | place s), in nats, a scalar.
    """
    queries, weights, states = _look(model, batch)
    num_steps, num_places = weights.shape[1:]
    of_places = _decoder(model).read(
        queries[:, :, None].expand(-1, -1, num_places, -1),
        states[:, None].expand(-1, num_steps, -1, -1),
    )  # (B, T, S, V)
    log_p = _log_likelihood(of_places, batch.targets[..., None].expand(-1, -1, num_places))
    return -torch.logsumexp(log_p + weights.clamp(min=1e-30).log(), -1).sum()


def _decoder(model: Model) -> LuongDecoder:
    """Return the decoder of a model of this benchmark."""
    assert isinstance(model.decoder, LuongDecoder)
    return model.decoder


def _look(model: Model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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


def places_used(rows: Sequence[torch.Tensor]) -> float:
    """Return exp of the mean entropy of weights (…, S): the equally weighted places they equal."""
    entropies = torch.cat([torch.special.entr(row).sum(-1).flatten() for row in rows])
    return math.exp(float(entropies.mean()))
