"""Positional encodings: how a Transformer represents the order of its tokens.

Derived in section 7.3. Learned positions: Gehring et al. 2017; sinusoids: Vaswani et al.
2017; rotary positions: Su et al. 2021.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import nn

from utils.arguments import check_choice, check_positive
from utils.models.checks import check_values, has_values
from utils.models.typed_module import TypedModule
from utils.states import register_state

EncodingName: TypeAlias = Literal["learned", "rotary", "sinusoidal"]
"""The name of an encoding of `PositionalEncoding`."""

POSITIONAL_ENCODINGS: tuple[EncodingName, ...] = get_args(EncodingName)


@register_state
class RotaryAngles(NamedTuple):
    """Cosine and sine of the rotary angles, in the shape by which self-attention multiplies.

    Parameters
    ----------
    cos, sin
        One angle for each position and each pair of numbers of a head, (B or 1, 1, T, D/(2H)).
    """

    cos: torch.Tensor
    sin: torch.Tensor


class PositionalEncoding(TypedModule):
    """Positional encoding of a Transformer: learned, sinusoidal or rotary.

    Parameters
    ----------
    encoding
        "learned": adds a vector for each position, a parameter, to the word vectors.
        "sinusoidal": adds `sinusoidal_encoding`, for texts of any length.
        "rotary": leaves word vectors unchanged; each layer rotates its queries and keys.
    width
        Length D of a word vector.
    head_width
        Length D/H of a query or key; it must be even for rotary positions.
    max_positions
        Number of learned positions; the other encodings do not use it.

    Raises
    ------
    ValueError
        If `encoding` is unknown, a size is not a positive integer, if it is rotary and `head_width`
        is odd, or if it is sinusoidal and `width` is odd.
    """

    def __init__(
        self, encoding: EncodingName, *, width: int, head_width: int, max_positions: int
    ) -> None:
        super().__init__()
        check_choice(POSITIONAL_ENCODINGS, positional_encoding=encoding)
        check_positive(width=width, head_width=head_width, max_positions=max_positions)
        if encoding != "learned":
            _check_even(head_width if encoding == "rotary" else width)
        self.encoding = encoding
        self.head_width = head_width
        self.max_positions = max_positions
        self.table = nn.Embedding(max_positions, width) if encoding == "learned" else None

    def forward(
        self, x: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, RotaryAngles | None]:
        """Add positions to word vectors, or compute the rotation that represents them.

        Parameters
        ----------
        x
            Word vectors, (B, T, D).
        positions
            Position of each token, counted from 0, (B or 1, T) int64.

        Returns
        -------
        x : torch.Tensor
            The vectors that the first layer reads, (B, T, D).
        rotary : RotaryAngles or None
            The rotation that every layer needs; None unless the encoding is rotary.

        Raises
        ------
        ValueError
            If the positions are learned and one lies beyond the last.
        """
        if self.encoding == "sinusoidal":
            return x + sinusoidal_encoding(positions, x.shape[2], dtype=x.dtype), None
        if self.table is None:
            angles = position_angles(positions, self.head_width, dtype=x.dtype)
            angles = angles[:, None]  # (B or 1, 1, T, D/(2H))
            return x, RotaryAngles(angles.cos().to(x.dtype), angles.sin().to(x.dtype))
        self._check_range(positions)
        return x + self.table(positions), None

    def _check_range(self, positions: torch.Tensor) -> None:
        """Raise ValueError unless there is a learned vector for each position."""
        advice = (
            f"only {self.max_positions} positions are learned: give a shorter text and max_length, "
            "or build the model with positional_encoding='rotary'"
        )
        if not has_values(positions):
            check_values((positions < self.max_positions).all(), f"the text is too long: {advice}")
        elif positions.numel() and (length := int(positions.max()) + 1) > self.max_positions:
            raise ValueError(f"the text is {length} tokens long, and {advice}")


def token_positions(ids: torch.Tensor) -> torch.Tensor:
    """Return the positions 0 … T − 1 of the tokens `ids` (B, T), the same for each row: (1, T)."""
    return torch.arange(ids.shape[1], device=ids.device)[None]


def position_angles(
    positions: torch.Tensor, width: int, *, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Compute the angle of each position at each frequency: position · 10000^(−2i/width).

    Source: ``eq-rotary`` (section 7.3); Su et al. 2021.

    Parameters
    ----------
    positions
        Any integers, (…).
    width
        Length of the vectors, two numbers per angle.
    dtype
        Precision of the result, but at least float32: half precision cannot distinguish
        neighbouring positions beyond a few hundred.

    Returns
    -------
    angles : torch.Tensor
        Angles in radians for i = 0 … width/2 − 1, (…, width/2).

    Raises
    ------
    ValueError
        If `width` is odd.
    """
    _check_even(width)
    dtype = torch.promote_types(dtype, torch.float32)
    exponent = torch.arange(0, width, 2, device=positions.device, dtype=dtype) / width
    return positions[..., None].to(dtype) * 10000.0**-exponent  # (…, width/2)


def _check_even(width: int) -> None:
    """Raise ValueError unless vectors of this width consist of pairs of numbers."""
    if width % 2:
        raise ValueError(f"angles belong to pairs of numbers: the width must be even, got {width}")


def sinusoidal_encoding(
    positions: torch.Tensor, width: int, *, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Compute sine and cosine of each angle of `position_angles`, in alternation.

    Source: ``eq-sinusoids`` (section 7.3); Vaswani et al. 2017, section 3.5.

    Parameters
    ----------
    positions
        Any integers, (…).
    width
        Length of a vector; it must be even.
    dtype
        Type of the result.

    Returns
    -------
    encoding : torch.Tensor
        One vector for each position, (…, width).

    Raises
    ------
    ValueError
        If `width` is odd.

    Examples
    --------
    >>> import torch
    >>> from utils.models.positions import sinusoidal_encoding
    >>> encoding = sinusoidal_encoding(torch.arange(10), 8)
    >>> encoding.shape
    torch.Size([10, 8])
    >>> encoding[0]
    tensor([0., 1., 0., 1., 0., 1., 0., 1.])
    """
    angles = position_angles(positions, width, dtype=dtype)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2).to(dtype)  # (…, width)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate numbers i and i + d/2 of each vector, as a pair, by angle i.

    The product of two rotated vectors depends on the difference of their positions alone.

    Source: ``eq-rotary`` and ``eq-rotary-score`` (section 7.3); Su et al. 2021.

    Parameters
    ----------
    x
        Queries or keys, (…, d).
    cos, sin
        Cosine and sine of the angles, (…, d/2).

    Returns
    -------
    rotated : torch.Tensor
        The rotated vectors, (…, d).

    Examples
    --------
    >>> import torch
    >>> from utils.models.positions import rotate
    >>> cos, sin = torch.tensor([0.0]), torch.tensor([1.0])  # of 90 degrees
    >>> rotate(torch.tensor([1.0, 0.0]), cos, sin)
    tensor([0., 1.])
    """
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)  # (…, d)
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin
