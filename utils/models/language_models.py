"""Feed-forward and recurrent language models: ``model(ids, state=None) -> (logits, state)``.

Derived in sections 4.1.1 (NNLM) and 4.1.2 (RNNLM). NNLM: Bengio et al. 2003; recurrent language
models: Mikolov et al. 2010; LSTM: Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014; tied
embeddings: Press and Wolf 2017.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.data.vocabulary import BOS, PAD
from utils.models.contract import Memory
from utils.models.layers import ScaledEmbedding, check_sizes
from utils.models.recurrent import make_rnn, run_batch_first

RNNLM_CELLS = ("gru", "rnn")
"""The cells of `RNNLM`: those whose state is one vector a layer."""


class NNLM(nn.Module):
    """Feed-forward language model: p(w_t | w_{t−n+1} … w_{t−1}).

    Source: ``eq-nnlm-logits`` (section 4.1.1); Bengio et al. 2003, eq. 1.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    order
        Order n of the model, which reads n − 1 tokens to predict the next.
    embedding_size
        Length E of a word vector.
    hidden_size
        Number of hidden units, with tanh.
    direct
        Add direct connections, a linear map from the word vectors to the logits.
    dropout
        Probability of dropout, on word vectors and on hidden units.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, or `order` is below 2.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        order: int = 4,
        embedding_size: int = 64,
        hidden_size: int = 128,
        direct: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(vocab_size=vocab_size, embedding_size=embedding_size, hidden_size=hidden_size)
        if order < 2 or order != int(order):
            raise ValueError(f"order must be a whole number from 2, got {order}")
        window_size = (order - 1) * embedding_size
        self.order = order
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.hidden = nn.Linear(window_size, hidden_size)
        self.output = nn.Linear(hidden_size, vocab_size)
        self.direct = nn.Linear(window_size, vocab_size, bias=False) if direct else None
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)  # of length about 1

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The n − 2 tokens before `ids`, (B, n − 2); None for BOS in their place.

        Returns
        -------
        tuple
            Logits (B, T, V), and the last n − 2 tokens (B, n − 2).

        Raises
        ------
        ValueError
            If `state` has another shape.
        """
        tokens = torch.cat([self._check_state(ids, state), ids], dim=1)  # (B, n − 2 + T)
        x = self.embedding(tokens).unfold(1, self.order - 1, 1)  # (B, T, E, n − 1)
        x = self.dropout(x.transpose(2, 3).flatten(2))  # (B, T, (n − 1)·E), oldest token first
        hidden = torch.tanh(self.hidden(x))  # (B, T, hidden size)
        logits = self.output(self.dropout(hidden))  # (B, T, V)
        if self.direct is not None:
            logits = logits + self.direct(x)
        return logits, tokens[:, ids.shape[1] :]

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the matrices before the logits, which optimizers such as Muon leave to AdamW."""
        parameters = list(self.output.parameters())
        if self.direct is not None:
            parameters += self.direct.parameters()
        return [p for p in parameters if p.dim() == 2]

    def _check_state(self, ids: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """Return `state`, BOS where it is None; raise ValueError unless it has its shape."""
        shape = (len(ids), self.order - 2)
        if state is None:
            return ids.new_full(shape, BOS)
        if state.shape != shape:
            raise ValueError(
                f"the state of an NNLM of order {self.order} is the last {shape[1]} ids of each "
                f"row, shape {shape}; got {tuple(state.shape)}"
            )
        return state


class RNNLM(nn.Module):
    """Recurrent language model with a simple network or a GRU: p(w_t | w_1 … w_{t−1}).

    Source: ``eq-rnnlm-step`` (section 4.1.2); Mikolov et al. 2010.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the hidden state.
    layers
        Number of recurrent layers.
    cell
        "rnn" (with tanh) or "gru".
    embedding_size
        Length E of a word vector, `width` where not given.
    dropout
        Probability of dropout, on word vectors, between layers and before the output.

    Raises
    ------
    ValueError
        If the cell is unknown, or a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 1,
        cell: str = "rnn",
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if cell not in RNNLM_CELLS:
            raise ValueError(f"cell is {cell!r}; choose from {list(RNNLM_CELLS)}, or take LSTMLM")
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.rnn = make_rnn(
            cell, input_size=embedding_size, width=width, layers=layers, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, vocab_size)
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            Hidden state h of each layer after the tokens before `ids`, (B, layers, D); None for
            zeros.

        Returns
        -------
        tuple
            Logits (B, T, V), and the hidden states after `ids` (B, layers, D).
        """
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, state = run_batch_first(self.rnn, x, state)  # (B, T, D)
        return self.output(self.dropout(x)), state  # (B, T, V)

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the output matrix, which optimizers such as Muon leave to AdamW."""
        return [p for p in self.output.parameters() if p.dim() == 2]


class LSTMLM(nn.Module):
    """Language model with a stack of LSTM layers: p(w_t | w_1 … w_{t−1}).

    It is the decoder of section 5.2 too: that starts from the last states of an LSTM encoder.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the hidden state.
    layers
        Number of LSTM layers.
    dropout
        Probability of dropout, on word vectors, between layers and before the output.
    tied
        Tie the output matrix to the embedding. Where E differs from D, a linear map without
        bias leads from D to E before it.
    embedding_size
        Length E of a word vector, `width` where not given.

    Raises
    ------
    ValueError
        If a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        tied: bool = True,
        embedding_size: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        make_embedding = ScaledEmbedding if tied else nn.Embedding
        self.embedding = make_embedding(vocab_size, embedding_size, padding_idx=PAD)
        self.lstm = make_rnn(
            "lstm", input_size=embedding_size, width=width, layers=layers, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.project: nn.Module = nn.Identity()
        if tied and embedding_size != width:
            self.project = nn.Linear(width, embedding_size, bias=False)
        self.output = nn.Linear(embedding_size if tied else width, vocab_size)
        if tied:
            self.output.weight = self.embedding.weight

    def begin(self, memory: Memory) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the state (h, c) that an LSTM encoder ended in, each (B, layers, D).

        Raises
        ------
        ValueError
            If the encoder gives no such state.
        """
        if memory.final_state is None:
            raise ValueError("an LSTMLM decodes from the final state of an LSTMEncoder; got none")
        return memory.final_state

    def forward(
        self, ids: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            Hidden and cell states (h, c) after the tokens before `ids`, each (B, layers, D); None
            for zeros.

        Returns
        -------
        tuple
            Logits (B, T, V), and the states (h, c) after `ids`, each (B, layers, D).
        """
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, state = run_batch_first(self.lstm, x, state)  # (B, T, D)
        return self.output(self.project(self.dropout(x))), state  # (B, T, V)

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the output matrix, which optimizers such as Muon leave to AdamW."""
        return [p for p in self.output.parameters() if p.dim() == 2]
