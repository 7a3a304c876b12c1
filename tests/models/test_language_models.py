"""Feed-forward and recurrent language models: the formulas they compute, and their parameters.

What they share with all other models is tested in test_contract.py.
"""

from functools import partial

import pytest
import torch

from tests.helpers.tensors import randn, same
from tests.helpers.tiny_models import state_tensors
from utils.data.vocabulary import BOS
from utils.metrics.cost import count_parameters
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent import CELLS, swap_batch_and_layers
from utils.states import LSTMState

V, B, T = 11, 3, 7


@pytest.fixture
def ids():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


def make_nnlm(order: int = 4, **options) -> NNLM:
    torch.manual_seed(0)
    return NNLM(V, order=order, embedding_size=5, hidden_size=6, **options)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_an_nnlm_reads_its_window_and_nothing_before(order, ids):
    model = make_nnlm(order).double()
    logits = model(ids)[0][:, -1]
    outside, inside = ids.clone(), ids.clone()
    outside[:, : T - order + 1] = (outside[:, : T - order + 1] + 1) % V
    inside[:, T - order + 1] = (inside[:, T - order + 1] + 1) % V
    torch.testing.assert_close(model(outside)[0][:, -1], logits, rtol=0, atol=0)
    assert ((model(inside)[0][:, -1] - logits).abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_the_state_of_an_nnlm_is_ids(ids, dtype):
    model = make_nnlm(3)
    with pytest.raises(ValueError, match=rf"last 1 ids of each row, .* \(3, 1\) {dtype}"):
        model(ids, ids[:, :1].to(dtype))


def test_an_nnlm_starts_from_bos(ids):
    model = make_nnlm().double()
    padded = torch.cat([torch.full((B, 2), BOS), ids], dim=1)
    torch.testing.assert_close(model(ids)[0], model(padded)[0][:, 2:])


def test_an_nnlm_computes_the_printed_formula(ids):
    """y = b + U tanh(d + H x) + W x, with the words of the window in order (Bengio 2003, eq. 1)."""
    model = make_nnlm(order=3).double()
    C, H, d = model.embedding.weight, model.hidden_layer.weight, model.hidden_layer.bias
    U, b, W = model.output.weight, model.output.bias, model.direct_layer.weight
    x = torch.cat([C[ids[0, 2]], C[ids[0, 3]]])
    torch.testing.assert_close(model(ids)[0][0, 3], b + U @ torch.tanh(d + H @ x) + W @ x)
    indirect = make_nnlm(order=3, use_direct_layer=False).double()
    x = torch.cat([indirect.embedding.weight[ids[0, i]] for i in (2, 3)])
    hidden = torch.tanh(indirect.hidden_layer(x))
    torch.testing.assert_close(indirect(ids)[0][0, 3], indirect.output(hidden))


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"tied": True, "embedding_size": 4}])
@pytest.mark.parametrize("cell", CELLS)
def test_an_rnnlm_is_torchs_layer_with_copied_weights(cell, options, ids):
    torch.manual_seed(0)
    model = RNNLM(V, width=6, num_layers=2, cell=cell, **options).double()
    E, is_tied = model.embedding.embedding_dim, "tied" in options
    torch_layer = CELLS[cell](E, 6, 2, batch_first=True).double()
    torch_layer.load_state_dict(model.rnn.state_dict())
    h, c = randn(2, B, 6), randn(2, B, 6)
    torch_state = LSTMState(h, c) if cell == "lstm" else h
    words = model.embedding.weight[ids] * (E**0.5 if is_tied else 1)
    x, expected_state = torch_layer(words, torch_state)
    if E != 6:
        x = x @ model.output_projection.weight.T  # (B, T, E)
    logits, state = model(ids, swap_batch_and_layers(torch_state))
    assert (model.output.weight is model.embedding.weight) == is_tied
    assert same(logits, x @ model.output.weight.T + model.output.bias)
    pairs = zip(state_tensors(state), state_tensors(expected_state), strict=True)
    assert all(same(part, expected.transpose(0, 1)) for part, expected in pairs)


@pytest.mark.parametrize(
    "build, mean_square",
    [
        (NNLM, 1),
        (RNNLM, 1),
        (partial(RNNLM, cell="gru"), 1),
        (partial(RNNLM, cell="lstm", tied=True), 1),
        (partial(RNNLM, cell="lstm"), 16),  # standard normal numbers, as torch draws them
    ],
)
def test_word_vectors_start_with_their_length(build, mean_square):
    torch.manual_seed(0)
    lengths = build(5000, embedding_size=16).embedding.weight.norm(dim=1)
    assert abs(lengths.pow(2).mean() / mean_square - 1) < 0.05


def test_tied_matrices_are_counted_once():
    lstm = 2 * 4 * (6 * 6 + 6 * 6 + 6 + 6)  # two layers of four gates
    build = partial(RNNLM, V, width=6, num_layers=2, cell="lstm")
    assert count_parameters(build(tied=True)) == V * 6 + lstm + V
    assert count_parameters(build()) == 2 * V * 6 + lstm + V
    model = build(tied=True, embedding_size=4)
    narrow = 4 * (4 * 6 + 6 * 6 + 12) + 4 * (6 * 6 + 6 * 6 + 12)
    assert count_parameters(model) == V * 4 + narrow + 6 * 4 + V


@pytest.mark.parametrize(
    "build",
    [
        lambda: make_nnlm(order=3, dropout=0.5),
        lambda: RNNLM(V, width=6, dropout=0.5),
        lambda: RNNLM(V, width=16, num_layers=2, cell="lstm", tied=True, dropout=0.5),
        lambda: RNNLM(V, width=16, cell="lstm", tied=True, dropout=0.5),
    ],
)
def test_dropout_acts_in_training_only(build, ids):
    torch.manual_seed(0)
    model = build()
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


@pytest.mark.parametrize("silent", ["output", "direct_layer"])
def test_an_nnlm_drops_word_vectors_and_hidden_units(silent, ids):
    """With one path to the logits silent, dropout still acts on the other: direct or hidden."""
    model = make_nnlm(order=3, dropout=0.5)
    with torch.no_grad():
        getattr(model, silent).weight.zero_()
        if silent == "direct_layer":
            model.hidden_layer.weight.zero_()  # hidden units no longer depend on word vectors
            model.hidden_layer.bias.fill_(1.0)
    assert not torch.equal(model(ids)[0], model(ids)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrent_model_drops_word_vectors_and_outputs(cell, ids):
    torch.manual_seed(0)
    model = RNNLM(V, width=16, cell=cell, dropout=0.5)

    def logits_and_hidden():
        logits, state = model(ids)
        return logits, state if isinstance(state, torch.Tensor) else state.hidden

    (_, first_hidden), (_, second_hidden) = logits_and_hidden(), logits_and_hidden()
    assert not torch.equal(first_hidden, second_hidden)
    model.embedding.weight.data.zero_()  # now dropout of word vectors changes nothing
    first, second = logits_and_hidden(), logits_and_hidden()
    assert torch.equal(first[1], second[1]) and not torch.equal(first[0], second[0])


def test_the_smallest_vocabulary_is_one_token():
    logits, _ = RNNLM(1, width=2, tied=True)(torch.zeros(2, 3, dtype=torch.long))
    assert torch.equal(logits.softmax(-1), torch.ones(2, 3, 1))
    assert RNNLM(4, width=1, tied=True)(torch.tensor([[1, 2, 3]]))[0].shape == (1, 3, 4)


def test_mistakes_are_named(ids):
    with pytest.raises(ValueError, match="cell is 'elman'; choose from rnn, gru, lstm"):
        RNNLM(V, cell="elman")
    with pytest.raises(ValueError, match="order must be an integer of at least 2, got 1"):
        NNLM(V, order=1)
    with pytest.raises(ValueError, match="hidden_size must be a positive integer, got 0"):
        NNLM(V, hidden_size=0)
    with pytest.raises(ValueError, match="order 4 is the last 2 ids"):
        NNLM(V, order=4)(ids, ids)
