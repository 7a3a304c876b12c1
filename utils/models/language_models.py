"""Feed-forward and recurrent language models: ``model(ids, state=None) -> (logits, state)``.

Derived in sections 4.1.1 (NNLM) and 4.1.2 (RNNLM). NNLM: Bengio et al. 2003; recurrent language
models: Mikolov et al. 2010; LSTM: Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014; tied
embeddings: Press and Wolf 2017.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.arguments import check_bool, check_choice, check_integer, check_positive, if_given
from utils.data.checks import is_integer_tensor
from utils.data.vocabulary import BOS, PAD
from utils.models.checks import OptionalForm, check_call, check_id_tensor
from utils.models.layers import (
    OutputLayer,
    ScaledEmbedding,
    TiedModule,
    make_dropout,
    make_tied_output,
    projection_or_identity,
)
from utils.models.recurrent import (
    CELLS,
    Cell,
    RecurrentState,
    make_rnn,
    run_batch_first,
    state_form,
)
from utils.models.typed_module import TypedModule


class NNLM(TypedModule):
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
    use_direct_layer
        Add direct connections, a linear map from the word vectors to the logits.
    dropout
        Probability of dropout, on word vectors and on hidden units.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `order` is less than 2.

    Examples
    --------
    >>> import torch
    >>> from utils.models.language_models import NNLM
    >>> model = NNLM(vocab_size=50, order=3)
    >>> logits, state = model(torch.randint(50, (2, 7)))
    >>> logits.shape, state.shape
    (torch.Size([2, 7, 50]), torch.Size([2, 1]))
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        order: int = 4,
        embedding_size: int = 64,
        hidden_size: int = 128,
        use_direct_layer: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size, embedding_size=embedding_size, hidden_size=hidden_size
        )
        check_integer(minimum=2, order=order)
        check_bool(use_direct_layer=use_direct_layer)
        window_size = (order - 1) * embedding_size
        self.order = order
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.hidden_layer = nn.Linear(window_size, hidden_size)
        self.output = OutputLayer(hidden_size, vocab_size)
        self.direct_layer = (
            OutputLayer(window_size, vocab_size, bias=False) if use_direct_layer else None
        )
        self.dropout = make_dropout(dropout)
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
            The n − 2 tokens before `ids`, (B, n − 2); BOS if None.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state : torch.Tensor
            The last n − 2 tokens, (B, n − 2).

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is not ids (B, n − 2).
        """
        check_id_tensor(ids)
        if state is None:
            state = ids.new_full((ids.shape[0], self.order - 2), BOS)
        self._check_state(ids, state)
        if ids.shape[1] == 0:  # there is no window
            return self.output.weight.new_zeros(ids.shape[0], 0, self.output.out_features), state
        tokens = torch.cat([state, ids], dim=1)  # (B, n − 2 + T)
        x = self.embedding(tokens).unfold(1, self.order - 1, 1)  # (B, T, E, n − 1)
        x = self.dropout(x.transpose(2, 3).flatten(2))  # (B, T, (n − 1)·E), oldest token first
        hidden = torch.tanh(self.hidden_layer(x))  # (B, T, hidden size)
        logits = self.output(self.dropout(hidden))  # (B, T, V)
        if self.direct_layer is not None:
            logits = logits + self.direct_layer(x)
        return logits, tokens[:, ids.shape[1] :]

    def _check_state(self, ids: torch.Tensor, state: torch.Tensor) -> None:
        """Raise ValueError unless `state` is ids of its shape."""
        shape = (ids.shape[0], self.order - 2)
        if isinstance(state, torch.Tensor) and state.shape == shape and is_integer_tensor(state):
            return
        is_tensor = isinstance(state, torch.Tensor)
        raise ValueError(
            f"the state of an NNLM of order {self.order} is the last {shape[1]} ids of each row, "
            f"shape {shape}; got "
            + (f"{tuple(state.shape)} {state.dtype}" if is_tensor else f"a {type(state).__name__}")
        )


class RNNLM(TiedModule):
    """Recurrent language model: p(w_t | w_1 … w_{t−1}).

    Word vectors start with a length of about 1, except the untied ones of an LSTM, which start with
    standard normal numbers, as torch draws them. The decoder of section 5.2 is such a model that
    starts from the last states of an encoder (``recurrent_decoders.LSTMDecoder``).

    Source: ``eq-rnnlm-step`` (section 4.1.2); Mikolov et al. 2010.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the hidden state.
    num_layers
        Number of recurrent layers.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    tied
        Tie the output matrix to the embedding. If E differs from D, a linear map without bias from
        D to E precedes it.
    embedding_size
        Length E of a word vector, `width` by default.
    dropout
        Probability of dropout, on word vectors, between layers and before the output.

    Raises
    ------
    ValueError
        If the cell is unknown, or a size is not a positive integer.

    Examples
    --------
    >>> import torch
    >>> from utils.models.language_models import RNNLM
    >>> model = RNNLM(vocab_size=50, width=32, cell="gru")
    >>> ids = torch.randint(50, (2, 7))
    >>> logits, state = model(ids)
    >>> logits.shape, state.shape
    (torch.Size([2, 7, 50]), torch.Size([2, 1, 32]))
    >>> _, middle = model(ids[:, :4])
    >>> torch.allclose(model(ids[:, 4:], middle)[0], logits[:, 4:], atol=1e-5)
    True
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 1,
        cell: Cell = "rnn",
        tied: bool = False,
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice(CELLS, cell=cell)
        check_bool(tied=tied)
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            **if_given(embedding_size=embedding_size),
        )
        embedding_size = embedding_size or width
        self.cell = cell
        self.embedding: nn.Embedding
        if tied:
            self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        else:
            self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.rnn = make_rnn(
            cell, input_size=embedding_size, width=width, num_layers=num_layers, dropout=dropout
        )
        self.dropout = make_dropout(dropout)
        # The biases of the output and the word vectors of untied LSTMs keep torch's own initial
        # values, with which the stored results were measured (sections 4.1.2 and 5.1).
        if tied:
            self.output_projection = projection_or_identity(width, embedding_size)
            self.output = make_tied_output(self.embedding, zero_bias=False)
        else:
            self.output_projection = nn.Identity()
            self.output = OutputLayer(width, vocab_size)
        if not tied and cell != "lstm":
            nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)  # of length about 1

    def forward(
        self, ids: torch.Tensor, state: RecurrentState | None = None
    ) -> tuple[torch.Tensor, RecurrentState]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state after the tokens before `ids`: the hidden state of each layer (B, layers, D),
            or an `LSTMState` of such tensors; None for zeros.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state : RecurrentState
            The state after `ids`.

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is of another model, batch or type.
        """
        check_call(self, ids, state, OptionalForm(state_form(self.rnn)))
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, state = run_batch_first(self.rnn, x, state)  # (B, T, D)
        return self.output(self.output_projection(self.dropout(x))), state  # (B, T, V)
