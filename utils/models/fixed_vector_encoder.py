"""An encoder of any kind, reduced to its vector.

Derived in section 2.3: the whole source in one vector. It shows what attention adds, as a decoder
that attends to such a memory sees one state only.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.contract import Encoder
from utils.models.typed_module import TypedModule
from utils.states import Memory


class FixedVectorEncoder(TypedModule):
    """An encoder reduced to its vector: the memory has that vector as its only state.

    Source: ``eq-one-vector`` (section 2.3).

    Parameters
    ----------
    encoder
        The encoder whose vector is used, with an `embedding`.
    """

    def __init__(self, encoder: Encoder[Memory]) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding of the encoder."""
        embedding = self.get_submodule("encoder.embedding")
        assert isinstance(embedding, nn.Embedding)
        return embedding

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S), padded with PAD at the end, to a memory with one state, S = 1."""
        vector = self.encoder(source).vector  # (B, D)
        is_token = torch.ones(vector.shape[0], 1, dtype=torch.bool, device=vector.device)  # (B, 1)
        return Memory(vector[:, None], is_token, vector)
