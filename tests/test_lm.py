"""Language models: one contract, no look into the future, and equal to torch's own layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.vocabulary import BOS
from utils.models.language_models import LSTMLM, NNLM, RNNLM
from utils.models.recurrent import swap_batch_and_layers

V, B, T = 11, 3, 7
MODELS = {
    "nnlm": lambda: NNLM(V, order=4, embedding_size=5, hidden_size=6),
    "nnlm, indirect": lambda: NNLM(V, order=3, embedding_size=5, hidden_size=6, direct=False),
    "nnlm, one word": lambda: NNLM(V, order=2, embedding_size=5, hidden_size=6),
    "rnn": lambda: RNNLM(V, width=6, embedding_size=4),
    "rnn, two layers": lambda: RNNLM(V, width=6, layers=2),
    "gru": lambda: RNNLM(V, width=6, layers=2, cell="gru"),
    "lstm": lambda: LSTMLM(V, width=6, layers=2),
}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().double().eval()


@pytest.fixture
def ids():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


def take(state, rows):
    """The rows of a state, as beam search takes them."""
    if isinstance(state, torch.Tensor):
        return state[rows]
    return tuple(take(part, rows) for part in state)


def test_shapes_and_normalization(model, ids):
    logits, _ = model(ids)
    assert logits.shape == (B, T, V) and logits.dtype == torch.float64
    assert logits.std() > 0.01


def test_one_call_with_many_tokens_equals_many_calls_with_one(model, ids):
    whole, last = model(ids)
    state, parts = None, []
    for t in range(T):
        logits, state = model(ids[:, t : t + 1], state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    torch.testing.assert_close(state, last)


def test_calls_of_uneven_length_carry_the_state(model, ids):
    whole, _ = model(ids)
    first, state = model(ids[:, :2])
    second, _ = model(ids[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_the_future_does_not_change_the_past(model, ids):
    other = ids.clone()
    other[:, 4:] = (other[:, 4:] + 1) % V
    a, b = model(ids)[0], model(other)[0]
    torch.testing.assert_close(a[:, :4], b[:, :4], rtol=0, atol=0)
    assert ((a[:, 4] - b[:, 4]).abs().amax(-1) > 1e-6).all()


def test_each_row_stands_alone_and_states_can_be_reordered(model, ids):
    whole, state = model(ids)
    torch.testing.assert_close(model(ids[1:2])[0], whole[1:2])
    rows, step = torch.tensor([2, 0, 0]), ids[:, :1]
    moved, _ = model(step[rows], take(state, rows))
    torch.testing.assert_close(moved, model(step, state)[0][rows])


def test_every_parameter_gets_a_gradient(model, ids):
    logits, _ = model(ids)
    F.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 1).flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("order", [2, 3, 4])
def test_nnlm_sees_its_window_and_nothing_before(order, ids):
    torch.manual_seed(0)
    model = NNLM(V, order=order, embedding_size=5, hidden_size=6).double()
    here = model(ids)[0][:, -1]
    outside, inside = ids.clone(), ids.clone()
    outside[:, : T - order + 1] = (outside[:, : T - order + 1] + 1) % V
    inside[:, T - order + 1] = (inside[:, T - order + 1] + 1) % V
    torch.testing.assert_close(model(outside)[0][:, -1], here, rtol=0, atol=0)
    assert ((model(inside)[0][:, -1] - here).abs().amax(-1) > 1e-6).all()


def test_nnlm_starts_from_bos(ids):
    model = NNLM(V, order=4, embedding_size=5, hidden_size=6).double()
    padded = torch.cat([torch.full((B, 2), BOS), ids], dim=1)
    torch.testing.assert_close(model(ids)[0], model(padded)[0][:, 2:])


def test_nnlm_is_the_printed_formula(ids):
    """y = b + U tanh(d + H x) + W x, with the words of the window in order (Bengio 2003, eq. 1)."""
    model = NNLM(V, order=3, embedding_size=5, hidden_size=6).double()
    C, H, d = model.embedding.weight, model.hidden.weight, model.hidden.bias
    U, b, W = model.output.weight, model.output.bias, model.direct.weight
    x = torch.cat([C[ids[0, 2]], C[ids[0, 3]]])
    torch.testing.assert_close(model(ids)[0][0, 3], b + U @ torch.tanh(d + H @ x) + W @ x)


@pytest.mark.parametrize("cell, layer", [("rnn", nn.RNN), ("gru", nn.GRU)])
def test_rnnlm_is_torchs_layer_with_copied_weights(cell, layer, ids):
    model = RNNLM(V, width=6, layers=2, cell=cell, embedding_size=4).double()
    own = layer(4, 6, 2, batch_first=True).double()
    own.load_state_dict(model.rnn.state_dict())
    h0 = torch.randn(2, B, 6, dtype=torch.float64)
    x, h = own(model.embedding.weight[ids], h0)
    logits, state = model(ids, swap_batch_and_layers(h0))
    torch.testing.assert_close(logits, x @ model.output.weight.T + model.output.bias)
    torch.testing.assert_close(state, swap_batch_and_layers(h))


def test_dropout_acts_in_training_only(ids):
    for model in (
        NNLM(V, order=3, embedding_size=5, hidden_size=6, dropout=0.5),
        RNNLM(V, width=6, dropout=0.5),
    ):
        assert not torch.equal(model(ids)[0], model(ids)[0])
        model.eval()
        assert torch.equal(model(ids)[0], model(ids)[0])


def test_nnlm_drops_word_vectors_and_hidden_units(ids):
    for silent in ("output", "direct"):  # the other way to the output is left: direct, hidden
        model = NNLM(V, order=3, embedding_size=5, hidden_size=6, dropout=0.5)
        with torch.no_grad():
            getattr(model, silent).weight.zero_()
            if silent == "direct":
                model.hidden.weight.zero_()  # the hidden units no longer depend on word vectors
                model.hidden.bias.fill_(1.0)
        assert not torch.equal(model(ids)[0], model(ids)[0]), silent


def test_mistakes_are_named(ids):
    with pytest.raises(ValueError, match="choose from .*gru.*rnn"):
        RNNLM(V, cell="lstm")
    with pytest.raises(ValueError, match="order must be a whole number from 2, got 1"):
        NNLM(V, order=1)
    with pytest.raises(ValueError, match="hidden"):
        NNLM(V, hidden_size=0)
    with pytest.raises(ValueError, match="order 4 is the last 2 ids"):
        NNLM(V, order=4)(ids, ids)
