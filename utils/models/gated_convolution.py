"""The gated convolution, of which convolutional encoders and decoders are stacked.

Derived in section 3.2. Dauphin et al. 2017.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_bool, check_positive
from utils.models.typed_module import TypedModule


class GatedConvolution(TypedModule):
    """Convolution with a gated linear unit: a · σ(b), where a and b are convolutions of the input.

    Source: ``eq-glu`` and ``eq-causal-convolution`` (section 3.2); Dauphin et al. 2017, eq. 1.

    Parameters
    ----------
    width
        Length D of an input and of an output vector.
    kernel_size
        Number of positions that an output depends on.
    causal
        Whether an output depends on its own and preceding positions only, not on both sides.

    Raises
    ------
    ValueError
        If a size is not a positive integer, if `causal` is neither True nor False, or if
        `kernel_size` is even but not `causal`.
    """

    def __init__(self, width: int, *, kernel_size: int = 3, causal: bool = False) -> None:
        super().__init__()
        check_positive(width=width, kernel_size=kernel_size)
        check_bool(causal=causal)
        if not causal and kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd unless the convolution is causal, got {kernel_size}"
            )
        self.causal = causal
        self.kernel_size = kernel_size
        padding = 0 if causal else kernel_size // 2
        self.convolution = nn.Conv1d(width, 2 * width, kernel_size, padding=padding)

    def forward(self, x: torch.Tensor, previous: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the convolution and its gate.

        Parameters
        ----------
        x
            Vectors of T tokens, (B, T, D).
        previous
            The inputs before `x`, (B, kernel_size − 1, D); a causal convolution needs them.

        Returns
        -------
        output : torch.Tensor
            One vector for each token, (B, T, D).

        Raises
        ------
        ValueError
            If the convolution is causal and `previous` is None.
        """
        if self.causal:
            if previous is None:
                raise ValueError("a causal convolution needs previous, the inputs before x")
            if x.shape[1] == 0:
                return x
            x = torch.cat([previous, x], 1)  # (B, kernel_size − 1 + T, D)
        return F.glu(self.convolution(x.mT), 1).mT  # (B, T, D)
