"""Direct preference optimization (DPO): the loss of pairs of answers, one preferred to the other.

Derived in section 8.4. Rafailov et al. 2023.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from utils.arguments import check_number


def dpo_loss(
    preferred: torch.Tensor,
    rejected: torch.Tensor,
    *,
    reference_preferred: torch.Tensor,
    reference_rejected: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    """Compute the loss of DPO, summed over pairs.

    Source: ``eq-dpo`` (section 8.4); Rafailov et al. 2023, eq. 7.

    Parameters
    ----------
    preferred, rejected
        log p of the two answers of each pair under the model that is trained, (B,).
    reference_preferred, reference_rejected
        log p of them under the model that training starts from, (B,).
    beta
        How strongly the model is held to the reference, above 0.

    Returns
    -------
    loss : torch.Tensor
        The sum in nats, a scalar; divide it by the number of pairs of the step.

    Raises
    ------
    ValueError
        If there are not four floating-point values for each pair, or `beta` is not positive.

    Examples
    --------
    >>> import torch
    >>> from utils.training.preferences import dpo_loss
    >>> better, worse, reference = torch.tensor([[0.3], [0.1], [0.2]]).log()
    >>> start = {"reference_preferred": reference, "reference_rejected": reference}
    >>> dpo_loss(better, worse, **start, beta=1.0)  # −log σ(log 3) = −log ¾
    tensor(0.2877)
    """
    check_number(above=0, beta=beta)
    log_probs = (preferred, rejected, reference_preferred, reference_rejected)
    shapes = {tuple(x.shape) for x in log_probs}
    if len(shapes) != 1 or preferred.ndim != 1:
        raise ValueError(f"log-probabilities must be (B,), one for each pair, got {sorted(shapes)}")
    if not all(x.is_floating_point() for x in log_probs):
        types = ", ".join(sorted({str(x.dtype) for x in log_probs}))
        raise ValueError(f"log-probabilities must be floating-point numbers, got {types}")
    margins = (preferred - reference_preferred) - (rejected - reference_rejected)  # (B,)
    return -F.logsigmoid(beta * margins).sum()
