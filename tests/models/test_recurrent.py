"""Recurrent networks with the batch first, and the first state of a decoder.

The networks are compared with torch's, with the gate equations, and with sources without padding.
"""

import pytest
import torch
from torch import nn

from tests.helpers.tensors import randn, same
from utils.data.vocabulary import PAD
from utils.models.recurrent import (
    CELLS,
    InitialState,
    make_rnn,
    open_forget_gates,
    run_batch_first,
    run_packed,
    swap_batch_and_layers,
)
from utils.states import LSTMState

B, S, D, LAYERS = 3, 4, 6, 2
IS_TOKEN = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]]) != PAD  # (B, S)
SIZES = {"input_size": 5, "width": D, "num_layers": LAYERS}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def parts(state) -> list[torch.Tensor]:
    """h of a state, or h and c of an LSTM's."""
    return [state] if isinstance(state, torch.Tensor) else list(state)


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_with_the_batch_first_is_torchs(cell):
    rnn = make_rnn(cell, **SIZES).double()
    x, h = randn(B, S, 5), randn(LAYERS, B, D)
    torch_state = LSTMState(h, randn(LAYERS, B, D)) if cell == "lstm" else h
    state = swap_batch_and_layers(torch_state)
    assert all(part.shape == (B, LAYERS, D) and part.is_contiguous() for part in parts(state))
    expected, torch_state = rnn(x, torch_state)
    result, state = run_batch_first(rnn, x, state)
    assert same(result, expected) and type(state) is (LSTMState if cell == "lstm" else torch.Tensor)
    for part, torch_part in zip(parts(state), parts(torch_state), strict=True):
        assert same(part, torch_part.transpose(0, 1)) and part.is_contiguous()
    zeros = torch.zeros(B, LAYERS, D, dtype=torch.float64)
    zero_state = LSTMState(zeros, zeros) if cell == "lstm" else zeros
    assert same(run_batch_first(rnn, x)[0], run_batch_first(rnn, x, zero_state)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_no_steps_leave_the_state_as_it_is(cell):
    """The state before the first token is zero."""
    rnn = make_rnn(cell, **SIZES)
    no_steps = torch.zeros(B, 0, 5)
    states, zeros = run_batch_first(rnn, no_steps)
    assert states.shape == (B, 0, D)
    assert all(part.shape == (B, LAYERS, D) and not part.any() for part in parts(zeros))
    _, given = run_batch_first(rnn, torch.ones(B, 2, 5))
    assert run_batch_first(rnn, no_steps, given)[1] is given


def test_an_lstm_computes_its_gate_equations():
    """The loop of Hochreiter and Schmidhuber's cell, with the network's weights."""
    rnn = make_rnn("lstm", **SIZES).double()
    x = randn(B, S, 5)
    h, c, steps = [randn(B, D) for _ in range(2)], [randn(B, D) for _ in range(2)], []
    state = LSTMState(torch.stack(h, 1), torch.stack(c, 1))  # (B, layers, D) each
    for t in range(S):
        y = x[:, t]
        for k in range(LAYERS):
            w_x, w_h = getattr(rnn, f"weight_ih_l{k}"), getattr(rnn, f"weight_hh_l{k}")
            bias = getattr(rnn, f"bias_ih_l{k}") + getattr(rnn, f"bias_hh_l{k}")
            i, f, g, o = (y @ w_x.T + h[k] @ w_h.T + bias).chunk(4, -1)
            c[k] = f.sigmoid() * c[k] + i.sigmoid() * g.tanh()
            y = h[k] = o.sigmoid() * c[k].tanh()
        steps.append(y)
    result, last = run_batch_first(rnn, x, state)
    assert same(result, torch.stack(steps, 1))
    assert same(last.hidden, torch.stack(h, 1)) and same(last.cell_state, torch.stack(c, 1))


def test_forget_gates_start_open():
    rnn = make_rnn("lstm", **SIZES)
    for name, bias in rnn.named_parameters():
        if "bias_ih" in name:
            assert (bias[D : 2 * D] == 1).all() and bias[:D].abs().max() < 0.5
            assert bias[2 * D :].abs().max() < 0.5
        elif "bias_hh" in name:
            assert bias.abs().max() < 0.5
    plain = nn.LSTM(2, 3)
    before = {name: p.clone() for name, p in plain.named_parameters()}
    open_forget_gates(plain)
    changed = {
        n: (p != before[n]).nonzero().flatten().tolist() for n, p in plain.named_parameters()
    }
    assert changed.pop("bias_ih_l0") == [3, 4, 5] and not any(changed.values())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_left_out(cell, bidirectional):
    """Each row gives what it gives alone without its padding, and zeros at padding."""
    rnn = make_rnn(cell, **SIZES, bidirectional=bidirectional).double()
    x, directions = randn(B, S, 5), 2 if bidirectional else 1
    states, final_state = run_packed(rnn, x, IS_TOKEN)
    assert states.shape == (B, S, D * directions)
    assert (states[~IS_TOKEN] == 0).all()
    for i, length in enumerate((4, 3, 2)):
        expected, expected_state = rnn(x[i : i + 1, :length])
        assert same(states[i, :length], expected[0])
        for part, expected_part in zip(parts(final_state), parts(expected_state), strict=True):
            assert part.shape == (B, LAYERS * directions, D)
            assert same(part[i], expected_part[:, 0])
    unpadded, unpadded_state = run_packed(rnn, x, torch.ones_like(IS_TOKEN))
    expected, expected_state = rnn(x)
    assert same(unpadded, expected) and type(unpadded_state) is type(final_state)
    for part, expected_part in zip(parts(unpadded_state), parts(expected_state), strict=True):
        assert same(part, expected_part.transpose(0, 1))


def test_dropout_acts_between_layers_in_training_only():
    rnn, x = make_rnn("gru", **SIZES, dropout=0.5), torch.randn(B, S, 5)
    assert not torch.equal(run_batch_first(rnn, x)[0], run_batch_first(rnn, x)[0])
    rnn.eval()
    assert torch.equal(run_batch_first(rnn, x)[0], run_batch_first(rnn, x)[0])


@pytest.mark.filterwarnings("error")
def test_a_single_layer_drops_nothing_and_torch_does_not_warn():
    assert make_rnn("rnn", input_size=2, width=3, num_layers=1, dropout=0.5).dropout == 0.0


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="cell is 'elman'; choose from rnn, gru, lstm"):
        make_rnn("elman", input_size=2, width=3)


@pytest.mark.parametrize("cell", CELLS)
def test_a_first_state_is_the_tanh_of_a_linear_map_of_the_vector(cell):
    make_state, vector = InitialState(D, num_layers=2, cell=cell).double(), randn(B, D)
    state = make_state(vector)
    assert type(state) is (LSTMState if cell == "lstm" else torch.Tensor)
    h, c = state if cell == "lstm" else (state, None)
    assert h.shape == (B, 2, D)
    for layer in range(2):
        rows = slice(layer * D, (layer + 1) * D)
        linear = vector @ make_state.projection.weight[rows].T + make_state.projection.bias[rows]
        assert same(h[:, layer], linear.tanh())
        assert c is None or same(c[:, layer], linear)
    zero_state = InitialState(D, num_layers=2, cell=cell, from_vector=False)(vector)
    h, c = zero_state if cell == "lstm" else (zero_state, zero_state)
    assert h.shape == c.shape == (B, 2, D) and not h.any() and not c.any()


def test_an_unknown_cell_of_a_first_state_is_named():
    with pytest.raises(ValueError, match="choose from rnn, gru, lstm"):
        InitialState(D, num_layers=1, cell="elman")
