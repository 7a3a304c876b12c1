"""torch's recurrent networks with the batch first, and the first state of a recurrent decoder.

The recurrent language models, encoders and decoders are built from these. LSTM: Hochreiter and
Schmidhuber 1997; GRU: Cho et al. 2014; open forget gates: Gers et al. 2000.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

from utils.arguments import check_bool, check_choice, check_number, check_positive
from utils.models.checks import BATCH, Form, TensorForm, TupleForm, check_values, is_all_true
from utils.models.typed_module import TypedModule
from utils.states import LSTMState

Cell: TypeAlias = Literal["rnn", "gru", "lstm"]
"""The name of a recurrent cell: tanh, gated recurrent units, or long short-term memory."""

CELLS: dict[Cell, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
"""torch's recurrent networks by the name of their cell."""

RecurrentState: TypeAlias = torch.Tensor | LSTMState
"""The hidden state h of each layer (B, layers, D), or of an LSTM the hidden and cell states."""


def make_rnn(
    cell: Cell,
    *,
    input_size: int,
    width: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = False,
) -> nn.RNN | nn.GRU | nn.LSTM:
    """Build one of torch's recurrent networks, batch first; the forget gates of an LSTM start open.

    Parameters
    ----------
    cell
        "rnn" (with tanh), "gru" or "lstm".
    input_size
        Length of an input vector.
    width
        Length of the hidden state, of one direction.
    num_layers
        Number of layers.
    dropout
        Probability of dropout between layers.
    bidirectional
        Add a second direction, from the end to the beginning, in each layer.

    Returns
    -------
    rnn : torch.nn.RNN, torch.nn.GRU or torch.nn.LSTM
        The network, untrained.

    Raises
    ------
    ValueError
        If the cell is unknown, a size is not a positive integer, or `dropout` is not from 0 to 1.
    """
    check_choice(CELLS, cell=cell)
    check_positive(input_size=input_size, width=width, num_layers=num_layers)
    check_number(minimum=0, below=1, dropout=dropout)
    check_bool(bidirectional=bidirectional)
    rnn = CELLS[cell](
        input_size,
        width,
        num_layers,
        batch_first=True,
        dropout=dropout if num_layers > 1 else 0.0,  # torch warns of dropout after a single layer
        bidirectional=bidirectional,
    )
    if isinstance(rnn, nn.LSTM):
        open_forget_gates(rnn)
    return rnn


def open_forget_gates(lstm: nn.LSTM) -> None:
    """Set the bias of the forget gates to 1, so that an untrained LSTM remembers.

    Keras does so by default, torch does not. Source: Gers et al. 2000.
    """
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):  # gates in the order input, forget, cell, output
            nn.init.ones_(bias.data[lstm.hidden_size : 2 * lstm.hidden_size])


def run_batch_first(
    rnn: nn.RNNBase, x: torch.Tensor, state: RecurrentState | None = None
) -> tuple[torch.Tensor, RecurrentState]:
    """Run one of torch's recurrent networks with a state that has the batch first.

    Parameters
    ----------
    rnn
        A network in one direction, with ``batch_first=True``.
    x
        Inputs of T steps, (B, T, input size).
    state
        The state before them; None for zeros.

    Returns
    -------
    states : torch.Tensor
        The hidden state of the last layer at each step, (B, T, D).
    final_state : RecurrentState
        The state of all layers after the last step.
    """
    if x.shape[1] == 0:  # torch rejects an empty sequence
        if state is None:
            state = _zero_state(rnn, x)
        return x.new_zeros(x.shape[0], 0, rnn.hidden_size), state
    layers_first = None if state is None else swap_batch_and_layers(state)
    states, final_state = rnn(x, layers_first)  # (B, T, D)
    return states, swap_batch_and_layers(final_state)


def state_form(rnn: nn.RNNBase) -> Form:
    """Return the form of a state of `rnn`, in one direction, for `checks.check_call`."""
    form = TensorForm((BATCH, rnn.num_layers, rnn.hidden_size))
    return TupleForm(LSTMState, (form, form)) if isinstance(rnn, nn.LSTM) else form


def _zero_state(rnn: nn.RNNBase, x: torch.Tensor) -> RecurrentState:
    """Return the state before the first of the inputs `x` (B, T, input size)."""
    zeros = x.new_zeros(x.shape[0], rnn.num_layers, rnn.hidden_size)  # (B, layers, D)
    return LSTMState(zeros, zeros) if isinstance(rnn, nn.LSTM) else zeros


def run_packed(
    rnn: nn.RNNBase, x: torch.Tensor, is_token: torch.Tensor
) -> tuple[torch.Tensor, RecurrentState]:
    """Run one of torch's recurrent networks over sources of several lengths, without their padding.

    Parameters
    ----------
    rnn
        A network in one or two directions, with ``batch_first=True``.
    x
        Inputs, padded at the end, (B, S, input size).
    is_token
        True where there is a token, (B, S) bool.

    Returns
    -------
    states : torch.Tensor
        The hidden states of the last layer, zero at padding, (B, S, D); two directions side by
        side.
    final_state : RecurrentState
        The state of all layers after the last token of each source; with two directions, each
        layer has two states, one after the other.

    Raises
    ------
    RuntimeError
        In an exported model, if there is padding.
    """
    is_graph = torch.compiler.is_exporting() or x.is_meta
    if is_graph:  # packing needs the values of the lengths
        check_values(
            is_token.all(),
            "an exported recurrent encoder reads sources of one length: export it for a batch "
            "without padding, and give it sources of equal length",
        )
    if is_graph or is_all_true(is_token):
        states, final_state = rnn(x)  # (B, S, D)
        return states, swap_batch_and_layers(final_state)
    packed = nn.utils.rnn.pack_padded_sequence(
        x, is_token.sum(1).cpu(), batch_first=True, enforce_sorted=False
    )
    packed_states, final_state = rnn(packed)
    states, _ = nn.utils.rnn.pad_packed_sequence(
        packed_states, batch_first=True, total_length=x.shape[1]
    )  # (B, S, D)
    return states, swap_batch_and_layers(final_state)


def swap_batch_and_layers(state: RecurrentState) -> RecurrentState:
    """Return a state (layers, B, D) as (B, layers, D), or the other way round.

    torch's recurrent networks put the layers first, the book's models the batch. Both parts of an
    LSTM's state are swapped. The result is contiguous in memory.
    """
    if isinstance(state, torch.Tensor):
        return state.transpose(0, 1).contiguous()
    return LSTMState(*(part.transpose(0, 1).contiguous() for part in state))


class InitialState(TypedModule):
    """First state of a recurrent decoder: in each layer h = tanh(W c + b) of the source's vector c.

    For an LSTM, W c + b is the cell state, and h its tanh.

    Source: ``eq-repair-start`` (section 4.2); Cho et al. 2014.

    Parameters
    ----------
    width
        Length D of the source's vector and of the state.
    num_layers
        Number of layers of the decoder.
    cell
        "rnn", "gru" or "lstm".
    from_vector
        Whether the state depends on the vector; it is zero otherwise.

    Raises
    ------
    ValueError
        If the cell is unknown, a size is not a positive integer, or `from_vector` is neither True
        nor False.
    """

    def __init__(
        self, width: int, *, num_layers: int = 1, cell: Cell, from_vector: bool = True
    ) -> None:
        super().__init__()
        check_choice(CELLS, cell=cell)
        check_positive(width=width, num_layers=num_layers)
        check_bool(from_vector=from_vector)
        self.width, self.num_layers, self.cell = width, num_layers, cell
        self.projection = nn.Linear(width, num_layers * width) if from_vector else None

    def forward(self, vector: torch.Tensor) -> RecurrentState:
        """Return the first state (B, layers, D) of each layer, given the source's vector (B, D)."""
        total = vector.new_zeros(vector.shape[0], self.num_layers, self.width)
        if self.projection is not None:
            total = self.projection(vector).view_as(total)  # (B, layers, D)
        return LSTMState(total.tanh(), total) if self.cell == "lstm" else total.tanh()
