"""Language models as torch modules: ``model(ids, state=None) -> (logits, state)``.

Used in sections 5.1 and 5.2. LSTM: Hochreiter and Schmidhuber 1997; tied embeddings: Press and
Wolf 2017.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.vocab import PAD


class LSTMLM(nn.Module):
    """p(w_t | w_1 … w_{t−1}) by a stack of LSTM layers (``eq-lm-contract``).

    `vocab_size` V, embedding and state width `width` D, `layers`, `dropout` between layers.
    With `tied`, the output matrix is the embedding matrix.
    """

    def __init__(
        self, vocab_size: int, width: int = 256, layers: int = 2, dropout: float = 0.0, tied=True
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers)
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        # nn.LSTM drops between layers only, and warns where there is one layer
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, vocab_size)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor, state=None):
        """ids (B, T) → logits (B, T, V) and the state (h, c), each (B, layers, D)."""
        inner = None if state is None else tuple(swap(s) for s in state)  # (layers, B, D)
        x = self.dropout(self.embedding(ids))  # (B, T, D)
        x, inner = self.lstm(x, inner)  # (B, T, D)
        return self.output(self.dropout(x)), tuple(swap(s) for s in inner)


def swap(state: torch.Tensor) -> torch.Tensor:
    """(layers, B, D) ↔ (B, layers, D): torch puts layers first, our states the batch."""
    return state.transpose(0, 1).contiguous()


def check_sizes(**sizes: int) -> None:
    """Raise ValueError naming the size that is not a positive whole number."""
    for name, size in sizes.items():
        if int(size) != size or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size}")
