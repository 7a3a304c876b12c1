"""The control of section 5.2: a decoder that is given nothing of the source."""

from __future__ import annotations

import torch
from torch import nn

from utils.contract import Encoder
from utils.data.vocabulary import EOS
from utils.states import Memory


class NoSource(nn.Module):
    """An encoder that reads one EOS in place of each source, whatever the source is.

    Parameters
    ----------
    encoder
        The encoder that reads that EOS. Its state is the same for all sources, and learned.
    """

    def __init__(self, encoder: Encoder[Memory]) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, source: torch.Tensor) -> Memory:
        """Return the memory of one EOS for each row of `source` (B, S)."""
        return self.encoder(source.new_full((len(source), 1), EOS))
