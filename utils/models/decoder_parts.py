"""Parts of decoders: the first state of a recurrent decoder, and an output tied to the embedding.

Derived in section 4.2. Tied matrices: Press and Wolf 2017.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.models.recurrent import RecurrentState, check_cell


class InitialState(nn.Module):
    """First state of a recurrent decoder: in each layer h = tanh(W c + b) of the source's vector c.

    For an LSTM W c + b is the cell state, of which h is the tanh.

    Source: ``eq-repair-start`` (section 4.2); Cho et al. 2014.

    Parameters
    ----------
    width
        Length D of the source's vector and of the state.
    layers
        Number of layers of the decoder.
    cell
        "rnn", "gru" or "lstm".
    from_vector
        Whether the state depends on the vector; else it is zero.

    Raises
    ------
    ValueError
        If the cell is unknown.
    """

    def __init__(self, width: int, *, layers: int, cell: str, from_vector: bool = True) -> None:
        super().__init__()
        self.width, self.layers, self.cell = width, layers, check_cell(cell)
        self.project = nn.Linear(width, layers * width) if from_vector else None

    def forward(self, vector: torch.Tensor) -> RecurrentState:
        """Return h (B, layers, D), or for an LSTM (h, c), from `vector` (B, D)."""
        total = vector.new_zeros(len(vector), self.layers, self.width)
        if self.project is not None:
            total = self.project(vector).view_as(total)  # (B, layers, D)
        return (total.tanh(), total) if self.cell == "lstm" else total.tanh()


class TiedOutput(nn.Module):
    """Output layer whose matrix is the embedding's, with a bias and with dropout before it.

    Source: Press and Wolf 2017.

    Parameters
    ----------
    width
        Length of the vectors that it reads. Where it differs from the embedding size E, a linear
        map without bias leads from `width` to E.
    embedding
        The embedding of the decoder's tokens, whose matrix (V, E) is used.
    dropout
        Probability of dropout on the vectors.
    """

    def __init__(self, width: int, embedding: nn.Embedding, *, dropout: float = 0.0) -> None:
        super().__init__()
        size = embedding.embedding_dim
        self.project = nn.Linear(width, size, bias=False) if size != width else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(size, embedding.num_embeddings)
        self.linear.weight = embedding.weight
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (B, T, V) of `x` (B, T, width)."""
        return self.linear(self.project(self.dropout(x)))  # (B, T, V)

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the output matrix, which optimizers such as Muon leave to AdamW."""
        return [p for p in self.linear.parameters() if p.dim() == 2]
