"""Policy gradients on drawn answers: log-probabilities, advantages in a group, the clipped loss.

A batch of drawn answers is a ``Batch`` whose targets are IGNORE_INDEX outside the answers, as
``utils.data.answer_batches`` makes it. As all objectives of the library, the loss is a sum: divided
by the number of answers of one optimizer step, it is the same however these are spread over
batches.

Derived in section 8.4. Williams 1992 (REINFORCE), Schulman et al. 2017 (clipping), Shao et al. 2024
(groups).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from utils.arguments import check_bool, check_number
from utils.data.batches import IGNORE_INDEX
from utils.data.checks import is_integer_tensor


def target_log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute log p of each target.

    Parameters
    ----------
    logits
        Logits (B, T, V).
    targets
        The tokens (B, T), IGNORE_INDEX where none counts.

    Returns
    -------
    log_probs : torch.Tensor
        In nats, (B, T); 0 where no target counts.

    Raises
    ------
    ValueError
        If there is not one target, an integer, for each row of logits, or, on the CPU, a target is
        neither from 0 to V − 1 nor IGNORE_INDEX.

    Examples
    --------
    >>> import torch
    >>> from utils.training.policy_gradient import target_log_probs
    >>> logits = torch.tensor([[[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]]]).log()
    >>> target_log_probs(logits, torch.tensor([[0, -100]])).exp()
    tensor([[0.5000, 1.0000]])
    """
    _check_targets(targets, logits)
    rows, flat_targets = logits.flatten(0, -2), targets.flatten().long()
    try:
        losses = F.cross_entropy(rows, flat_targets, ignore_index=IGNORE_INDEX, reduction="none")
    except IndexError as error:
        raise ValueError(
            f"targets must be from 0 to {logits.shape[-1] - 1}, or IGNORE_INDEX where none counts: "
            f"{error}"
        ) from error
    return -losses.view(targets.shape)  # (B, T)


def token_entropies(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute the entropy of the distribution that each target was drawn from.

    Parameters
    ----------
    logits
        Logits (B, T, V).
    targets
        The tokens (B, T), IGNORE_INDEX where none counts.

    Returns
    -------
    entropies : torch.Tensor
        In nats, (B, T); 0 where no target counts.

    Raises
    ------
    ValueError
        If there is not one target, an integer, for each row of logits.
    """
    _check_targets(targets, logits)
    entropies: torch.Tensor = torch.special.entr(logits.softmax(-1)).sum(-1)  # (B, T)
    return entropies.masked_fill(targets == IGNORE_INDEX, 0.0)


def _check_targets(targets: torch.Tensor, logits: torch.Tensor) -> None:
    """Raise ValueError unless there is one target, an integer, for each row of logits."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"targets must have the shape {tuple(logits.shape[:-1])} of the logits without V, got "
            f"{tuple(targets.shape)}"
        )
    if not logits.is_floating_point() or not is_integer_tensor(targets):
        raise ValueError(
            "logits must be floating-point numbers and targets integers, got tensors of "
            f"{logits.dtype} and {targets.dtype}"
        )


def token_kl(
    logits: torch.Tensor, reference_logits: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Compute the KL divergence of a model from a reference at each target.

    Its sum over an answer, averaged over answers drawn from the model, is the divergence of whole
    answers.

    Source: ``eq-token-kl`` (section 8.4).

    Parameters
    ----------
    logits, reference_logits
        Logits (B, T, V) of the model and of the reference.
    targets
        The tokens (B, T), IGNORE_INDEX where none counts.

    Returns
    -------
    divergences : torch.Tensor
        KL(model ‖ reference) in nats, (B, T); 0 where no target counts. A token that the model
        excludes adds nothing; one that the reference alone excludes makes it infinite.

    Raises
    ------
    ValueError
        If the two models' logits differ in shape, or there is not one target for each row of them.
    """
    _check_targets(targets, logits)
    if logits.shape != reference_logits.shape:
        raise ValueError(
            "logits and reference_logits must have one shape (B, T, V), got "
            f"{tuple(logits.shape)} and {tuple(reference_logits.shape)}"
        )
    log_p, log_q = logits.log_softmax(-1), reference_logits.log_softmax(-1)
    p, is_ignored = log_p.exp(), targets == IGNORE_INDEX
    # masked before the product: 0 · ∞ would be NaN, and so would its gradient
    log_ratio = (log_p - log_q).masked_fill((p == 0) | is_ignored[..., None], 0.0)  # (B, T, V)
    return (p * log_ratio).sum(-1).masked_fill(is_ignored, 0.0)  # (B, T)


def group_advantages(
    rewards: torch.Tensor, *, scale_by_std: bool, epsilon: float = 1e-6
) -> torch.Tensor:
    """Compare each reward with the mean of its group: the answers to one prompt.

    Source: ``eq-group-advantage`` (section 8.4); Shao et al. 2024.

    Parameters
    ----------
    rewards
        The rewards (P, G) of G answers to each of P prompts.
    scale_by_std
        Whether to divide by the group's standard deviation (with G − 1), as GRPO does.
    epsilon
        Added to the standard deviation, so that a group of equal rewards has advantages of zero.

    Returns
    -------
    advantages : torch.Tensor
        The advantages (P, G).

    Raises
    ------
    ValueError
        If rewards are not finite floating-point numbers (P, G) with at least two answers in a
        group, or `epsilon` is not positive.

    Examples
    --------
    >>> import torch
    >>> from utils.training.policy_gradient import group_advantages
    >>> group_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), scale_by_std=False)
    tensor([[ 0.7500, -0.2500, -0.2500, -0.2500]])
    """
    check_bool(scale_by_std=scale_by_std)
    check_number(above=0, epsilon=epsilon)
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(
            "rewards must be (P, G) with at least two answers to each prompt, got "
            f"{tuple(rewards.shape)}"
        )
    if not rewards.is_floating_point() or not rewards.isfinite().all():
        raise ValueError(
            "rewards must be finite floating-point numbers, such as 0.0 and 1.0: got a tensor of "
            f"{rewards.dtype} with {int((~rewards.isfinite()).sum())} that are not finite"
        )
    advantages = rewards - rewards.mean(1, keepdim=True)  # (P, G)
    return advantages / (rewards.std(1, keepdim=True) + epsilon) if scale_by_std else advantages


def policy_loss(
    log_probs: torch.Tensor,
    *,
    drawn_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    targets: torch.Tensor,
    clip_range: float = 0.2,
) -> torch.Tensor:
    """Compute the clipped loss of drawn answers, summed over their tokens and over answers.

    The first step after the draw has ratios of one, and the gradient of REINFORCE. In later steps
    on the same answers, a token whose ratio has left the range on the side to which its advantage
    pushes it has no gradient.

    Source: ``eq-clipped`` (section 8.4); Schulman et al. 2017, eq. 7.

    Parameters
    ----------
    log_probs
        log p of the tokens under the model that is trained, (B, T).
    drawn_log_probs
        log p of them under the model that drew them, (B, T), without a gradient.
    advantages
        The advantage of each answer, (B,).
    targets
        The tokens (B, T), IGNORE_INDEX where none counts.
    clip_range
        How far a ratio may leave 1, above 0.

    Returns
    -------
    loss : torch.Tensor
        The sum, a scalar; divide it by the number of answers of the step.

    Raises
    ------
    ValueError
        If shapes differ, an answer has no token that counts, `clip_range` is not positive, or
        `drawn_log_probs` or `advantages` has a gradient.

    Examples
    --------
    >>> import torch
    >>> from utils.training.policy_gradient import policy_loss
    >>> log_p = torch.tensor([[0.5, 0.2], [0.4, 1.0]]).log()
    >>> targets = torch.tensor([[7, 8], [9, -100]])
    >>> advantages = torch.tensor([1.0, -1.0])
    >>> policy_loss(log_p, drawn_log_probs=log_p, advantages=advantages, targets=targets)  # −2 + 1
    tensor(-1.)
    """
    check_number(above=0, clip_range=clip_range)
    if not log_probs.shape == drawn_log_probs.shape == targets.shape:
        raise ValueError(
            "log-probabilities and targets must have one shape (B, T), got "
            f"{tuple(log_probs.shape)}, {tuple(drawn_log_probs.shape)} and {tuple(targets.shape)}"
        )
    if advantages.shape != targets.shape[:1]:
        raise ValueError(
            f"advantages must be one for each of {len(targets)} answers, got "
            f"{tuple(advantages.shape)}"
        )
    for name, values in (("drawn_log_probs", drawn_log_probs), ("advantages", advantages)):
        if values.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{name} must have no gradient, which would cancel that of log_probs: compute it "
                f"within torch.no_grad(), or give {name}.detach()"
            )
    is_answer = targets != IGNORE_INDEX  # (B, T)
    if not bool(is_answer.any(1).all()):
        raise ValueError("each answer needs a token that counts; a row of targets has none")
    ratio = (log_probs - drawn_log_probs).exp()  # (B, T)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    gain = torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])  # (B, T)
    return -gain.masked_fill(~is_answer, 0.0).sum()
