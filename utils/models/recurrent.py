"""torch's recurrent networks with the batch first, in their state too.

The recurrent language models, encoders and decoders are built from these. LSTM: Hochreiter and
Schmidhuber 1997; GRU: Cho et al. 2014; open forget gates: Gers et al. 2000.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import torch
from torch import nn

CELLS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
"""torch's recurrent networks by the name of their cell."""

RecurrentState: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor]
"""The hidden state h, or of an LSTM the hidden and cell state (h, c)."""

StateT = TypeVar("StateT", bound=RecurrentState)


def check_cell(cell: str) -> str:
    """Return the name of a cell; raise ValueError unless it is one of `CELLS`."""
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; choose from {', '.join(CELLS)}")
    return cell


def make_rnn(
    cell: str,
    *,
    input_size: int,
    width: int,
    layers: int,
    dropout: float,
    bidirectional: bool = False,
) -> nn.RNN | nn.GRU | nn.LSTM:
    """Build one of torch's recurrent networks, batch first, the forget gates of an LSTM open.

    Parameters
    ----------
    cell
        "rnn" (with tanh), "gru" or "lstm".
    input_size
        Length of an input vector.
    width
        Length of the hidden state, of one direction.
    layers
        Number of layers.
    dropout
        Probability of dropout between layers.
    bidirectional
        Add a second direction, from the end to the beginning, in each layer.

    Returns
    -------
    torch.nn.RNN, torch.nn.GRU or torch.nn.LSTM
        The network, untrained.

    Raises
    ------
    ValueError
        If the cell is unknown.
    """
    rnn = CELLS[check_cell(cell)](
        input_size,
        width,
        layers,
        batch_first=True,
        dropout=dropout if layers > 1 else 0.0,  # torch warns of dropout behind a single layer
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


class BatchFirstRNN(nn.Module):
    """torch's RNN, GRU or LSTM with the batch first in its state too, as decoding needs it.

    Parameters
    ----------
    cell
        "rnn" (with tanh), "gru" or "lstm".
    input_size
        Length of an input vector.
    width
        Length D of the hidden state.
    layers
        Number of layers.
    dropout
        Probability of dropout between layers.

    Raises
    ------
    ValueError
        If the cell is unknown.
    """

    def __init__(
        self, cell: str, *, input_size: int, width: int, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.rnn = make_rnn(
            cell, input_size=input_size, width=width, layers=layers, dropout=dropout
        )

    def forward(
        self, x: torch.Tensor, state: RecurrentState | None = None
    ) -> tuple[torch.Tensor, RecurrentState]:
        """Run the network on T inputs from `state` on: see `run_batch_first`.

        Parameters
        ----------
        x
            Inputs of T steps, (B, T, input size).
        state
            The state before them; None for zeros.

        Returns
        -------
        tuple
            Hidden states of the last layer (B, T, D), and the state after the last step.
        """
        return run_batch_first(self.rnn, x, state)


def run_batch_first(
    rnn: nn.RNNBase, x: torch.Tensor, state: StateT | None = None
) -> tuple[torch.Tensor, StateT]:
    """Run one of torch's recurrent networks with a state that has the batch first.

    Parameters
    ----------
    rnn
        A network in one direction, with ``batch_first=True``.
    x
        Inputs of T steps, (B, T, input size).
    state
        h (B, layers, D), or for an LSTM (h, c); None for zeros.

    Returns
    -------
    tuple
        The hidden state of the last layer at each step (B, T, D), and the state after the last
        step in the form of `state`.
    """
    layers_first = None if state is None else swap_batch_and_layers(state)
    states, final = rnn(x, layers_first)  # (B, T, D)
    return states, swap_batch_and_layers(final)


def run_packed(
    rnn: nn.RNNBase, x: torch.Tensor, is_token: torch.Tensor
) -> tuple[torch.Tensor, RecurrentState]:
    """Run one of torch's recurrent networks over sources of several lengths, padding left out.

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
    tuple
        The hidden states of the last layer (B, S, D), zero at padding, and the state after the
        last token of each source as torch has it, layers first.
    """
    if is_token.all():
        return rnn(x)
    packed = nn.utils.rnn.pack_padded_sequence(
        x, is_token.sum(1).cpu(), batch_first=True, enforce_sorted=False
    )
    packed_states, final = rnn(packed)
    states, _ = nn.utils.rnn.pad_packed_sequence(
        packed_states, batch_first=True, total_length=x.shape[1]
    )
    return states, final  # (B, S, D)


def swap_batch_and_layers(state: StateT) -> StateT:
    """Return a state (layers, B, D) as (B, layers, D), or the other way round.

    torch's recurrent networks put layers first, the states of the book's models the batch. Of an
    LSTM's state (h, c) both are swapped. The result is contiguous in memory.
    """
    swapped: Any
    if isinstance(state, torch.Tensor):
        swapped = state.transpose(0, 1).contiguous()
    else:
        hidden, cell_state = state
        swapped = swap_batch_and_layers(hidden), swap_batch_and_layers(cell_state)
    return swapped
