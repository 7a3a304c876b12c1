"""Weights of a model as 8-bit integers, with one scale for each row of a matrix.

Section 8.1 derives and measures quantization; here it makes the files of the models in the pages
four times smaller. Vectors, such as biases and norms, stay in single precision.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)
LARGEST = 127  # of the integers; −128 is left out, so that they are symmetric


class QuantizedMatrix(NamedTuple):
    """A matrix of which row r is ``scales[r] · integers[r]``.

    Parameters
    ----------
    integers
        From −127 to 127, (rows, columns) int8.
    scales
        One for each row, (rows,) float32; 0 for a row of zeros.
    """

    integers: torch.Tensor
    scales: torch.Tensor

    def dequantized(self) -> torch.Tensor:
        """Return the matrix, (rows, columns) float32."""
        return self.scales[:, None] * self.integers.float()


def quantize(matrix: torch.Tensor) -> QuantizedMatrix:
    """Round a matrix to 8-bit integers, so that the largest number of each row is 127 or −127.

    Parameters
    ----------
    matrix
        The weights, (rows, columns).

    Returns
    -------
    quantized : QuantizedMatrix
        The integers and the scales.

    Raises
    ------
    ValueError
        If it is no matrix, or a weight is not finite.
    """
    if matrix.dim() != 2 or not bool(torch.isfinite(matrix).all()):
        raise ValueError(
            f"expected a matrix of finite weights, got the shape {tuple(matrix.shape)}"
        )
    matrix = matrix.detach().float()
    scales = matrix.abs().amax(1) / LARGEST  # (rows,)
    divisors = torch.where(scales > 0, scales, torch.ones_like(scales))
    integers = (matrix / divisors[:, None]).round().clamp(-LARGEST, LARGEST)
    return QuantizedMatrix(integers.to(torch.int8), scales)


@torch.no_grad()
def quantized_copy(model: ModelT) -> ModelT:
    """Return a copy of a model in which every matrix and filter is rounded as in the page.

    Parameters
    ----------
    model
        The model; a matrix that two of its parts share is still shared in the copy.

    Returns
    -------
    rounded : ModelT
        The copy, in evaluation mode.
    """
    rounded = copy.deepcopy(model).eval()
    for parameter in rounded.parameters():
        if parameter.dim() > 1:
            rows = quantize(parameter.flatten(1)).dequantized()
            parameter.copy_(rows.view_as(parameter))
    return rounded
