"""What several tests make of tensors and ask of them."""

import torch


def random(*shape, dtype=torch.float64) -> torch.Tensor:
    """Normal numbers, double precision unless told."""
    return torch.randn(*shape, dtype=dtype)


def same(a, b, tolerance=1e-12) -> bool:
    """One shape, and no number further apart than `tolerance`; NaN is the same as nothing."""
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance)
