"""Every torch model under the contract model(ids, state) -> (logits, state)."""

import pytest
import torch
from torch import nn

from utils.data.batches import IGNORE, Batch
from utils.data.vocabulary import PAD
from utils.decoding.state import map_tensors, select_rows
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder
from utils.models.decoders import CNNDecoder, RNNDecoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.encoders import CNNEncoder, FixedVectorEncoder, LSTMEncoder, RNNEncoder
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import cross_entropy

V = 11
LMS = {  # each of a width D
    "one layer": lambda D: LSTMLM(V, width=D, layers=1),
    "tied": lambda D: LSTMLM(V, width=D, layers=2),
    "untied": lambda D: LSTMLM(V, width=D, layers=3, tied=False),
    "narrow words": lambda D: LSTMLM(V, width=D, layers=2, embedding_size=D - 2),
    "narrow, untied": lambda D: LSTMLM(V, width=D, layers=2, tied=False, embedding_size=D - 2),
    "gpt": lambda D: GPT(V, width=D, layers=2, heads=3, context_length=3),
    "gpt, pairs": lambda D: GPT(
        V, width=D, layers=2, heads=3, context_length=3, ngram_tables=(V * V,)
    ),
    "gpt, triples that share": lambda D: GPT(
        V, width=D, layers=2, heads=3, context_length=3, ngram_tables=(V * V, 7)
    ),
    "gpt-2": lambda D: GPT(
        V,
        width=D,
        layers=2,
        heads=1,
        context_length=6,
        positional_encoding="learned",
        norm="layer",
        zero_init=False,
    ),
}
MODERN = {"norm": "rms", "activation": "relu2", "normalized": True, "positions": "rotary"}
ENCODERS = {
    "gru": lambda D: RNNEncoder(V, width=D),
    "deep lstm": lambda D: RNNEncoder(
        V, width=D, layers=2, cell="lstm", bidirectional=False, embedding_size=D - 2
    ),
    "cnn": lambda D: CNNEncoder(V, width=D, layers=2),
    "cnn, max": lambda D: CNNEncoder(V, width=D, layers=2, kernel_size=5, pooling="max"),
    "transformer": lambda D: TransformerEncoder(V, width=D, layers=2, heads=3),
    "post-norm": lambda D: TransformerEncoder(
        V, width=D, layers=2, heads=3, norm_first=False, bias=True
    ),
    "modern": lambda D: TransformerEncoder(V, width=D, layers=2, heads=3, **MODERN),
    "fixed": lambda D: FixedVectorEncoder(RNNEncoder(V, width=D)),
}
DECODERS = {
    "start": lambda D: RNNDecoder(V, width=D, layers=2),
    "every": lambda D: RNNDecoder(V, width=D, cell="rnn", context="every"),
    "both": lambda D: RNNDecoder(
        V, width=D, layers=2, cell="lstm", context="both", embedding_size=D - 2
    ),
    "multiplicative": lambda D: AttentionDecoder(V, width=D),
    "additive": lambda D: AttentionDecoder(
        V, width=D, layers=2, cell="lstm", score="additive", embedding_size=D - 2
    ),
    "location": lambda D: AttentionDecoder(V, width=D, score="location"),
    "cnn, vector": lambda D: CNNDecoder(V, width=D, layers=2, attention=False),
    "cnn, attention": lambda D: CNNDecoder(V, width=D, layers=2, kernel_size=2),
    "transformer": lambda D: TransformerDecoder(V, width=D, layers=2, heads=3),
    "post-norm": lambda D: TransformerDecoder(
        V, width=D, layers=2, heads=3, norm_first=False, bias=True
    ),
    "modern": lambda D: TransformerDecoder(V, width=D, layers=2, heads=3, hidden_size=D, **MODERN),
    "learned": lambda D: TransformerDecoder(
        V, width=D, layers=2, heads=3, positional_encoding="learned", context_length=6
    ),
}


def joined(encoder, decoder):
    return lambda D: EncoderDecoder(ENCODERS[encoder](D), DECODERS[decoder](D))


SEQ2SEQS = {
    **{f"gru → {name}": joined("gru", name) for name in DECODERS},
    **{f"{name} → transformer": joined(name, "transformer") for name in ENCODERS if name != "gru"},
    **{f"{name} → start": joined(name, "start") for name in ENCODERS if name != "gru"},
    "shared": lambda D: lstm_seq2seq(V, width=D, layers=2),
    "apart": lambda D: lstm_seq2seq(V, width=D, layers=2, share_embedding=False),
    "narrow": lambda D: lstm_seq2seq(V, width=D, layers=2, embedding_size=D - 2),
}
MODELS = LMS | SEQ2SEQS
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD], [4, 4, 4, 2]])
IDS = torch.tensor([[1, 5, 6, 7, 8], [1, 9, 9, 4, 4], [1, 3, 10, 4, 5], [1, 4, 5, 6, 7]])
PRECISION = {torch.float32: 1e-6, torch.float64: 1e-12}


def make(name: str, dtype=torch.float64) -> nn.Module:
    """A model in evaluation mode with weights large enough for its logits to differ."""
    torch.manual_seed(1)
    model = MODELS[name](6).to(dtype).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    return model


def start(model: nn.Module, rows=slice(None)):
    return model.encode(SOURCE[rows]) if isinstance(model, EncoderDecoder) else None


def leaves(state) -> list[torch.Tensor]:
    """The tensors of a state, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state
    return [leaf for value in values for leaf in leaves(value)]


def same(a, b, tolerance=1e-12) -> bool:
    return a.shape == b.shape and bool((a.double() - b.double()).abs().max() <= tolerance)


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", MODELS)
def test_one_long_call_is_many_short_ones_that_carry_the_state(name, dtype):
    model = make(name, dtype)
    whole, last = model(IDS, start(model))
    assert whole.shape == (*IDS.shape, V) and whole.dtype == dtype
    state, steps = start(model), []
    for t in range(IDS.shape[1]):
        logits, state = model(IDS[:, t : t + 1], state)
        steps.append(logits)
    tolerance = PRECISION[dtype] * max(1.0, whole.abs().max().item())
    assert same(torch.cat(steps, 1), whole, tolerance)
    assert all(same(a, b, tolerance) for a, b in zip(leaves(state), leaves(last), strict=True))
    halves = model(IDS[:, :2], start(model))
    assert same(model(IDS[:, 2:], halves[1])[0], whole[:, 2:], tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_a_later_token_changes_no_earlier_logits_but_its_own(name):
    model = make(name)
    before = model(IDS, start(model))[0]
    for t in range(IDS.shape[1]):
        changed = IDS.clone()
        changed[:, t] = 3 + (IDS[:, t] - 2) % (V - 3)
        after = model(changed, start(model))[0]
        assert torch.equal(before[:, :t], after[:, :t])
        assert (before[:, t] - after[:, t]).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_its_rows_one_at_a_time(name):
    model = make(name)
    together, state = model(IDS, start(model))
    for i in range(len(IDS)):
        alone, own = model(IDS[i : i + 1], start(model, slice(i, i + 1)))
        assert same(alone[0], together[i])
        mine = start(model, [i]) if isinstance(model, EncoderDecoder) else None
        assert same(model(IDS[i : i + 1], mine)[0][0], together[i])
        pairs = zip(leaves(own), leaves(state), strict=True)
        assert all(same(a[0], b[i]) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_the_state_has_the_batch_first_and_can_be_reordered(name):
    model = make(name)
    state = model(IDS, start(model))[1]
    assert all(s.shape[0] == len(IDS) for s in leaves(state))
    rows = torch.tensor([3, 0, 0, 2, 1])
    token = torch.tensor([[4], [5], [6], [7], [8]])
    ordered = model(token, select_rows(state, rows))[0]
    sources = rows if isinstance(model, EncoderDecoder) else slice(None)
    whole = model(torch.cat([IDS[rows], token], 1), start(model, sources))[0]
    assert same(ordered[:, 0], whole[:, -1])


@pytest.mark.parametrize("name", MODELS)
def test_a_call_leaves_its_arguments_alone(name):
    model = make(name)
    state = model(IDS, start(model))[1]
    kept = [s.clone() for s in leaves(state)]
    model(IDS[:, :1], state)
    assert all(torch.equal(a, b) for a, b in zip(leaves(state), kept, strict=True))


def test_reorder_walks_any_tree():
    rows, x = torch.tensor([2, 0]), torch.arange(6.0).view(3, 2)
    state = {"a": [x, None], "b": (x + 1, {"c": x.long()})}
    found = select_rows(state, rows)
    assert torch.equal(found["a"][0], x[[2, 0]]) and found["a"][1] is None
    assert isinstance(found["b"], tuple) and torch.equal(found["b"][1]["c"], x.long()[[2, 0]])
    with pytest.raises(AssertionError, match="tree of tensors; found int"):
        select_rows({"a": 3}, rows)


def test_a_change_meets_what_stands_at_the_same_place_of_two_trees():
    x = torch.arange(3.0)
    one, two = {"a": [x, None], "b": (x,)}, {"b": (x + 2,), "a": [10 * x, None]}
    found = map_tensors(torch.add, one, two)
    assert torch.equal(found["a"][0], 11 * x) and torch.equal(found["b"][0], 2 * x + 2)
    assert found["a"][1] is None and isinstance(found["b"], tuple)
    with pytest.raises(ValueError, match="shorter|longer"):
        map_tensors(torch.add, [x, x], [x])


@pytest.mark.parametrize("name", SEQ2SEQS)
def test_a_source_padded_further_gives_the_same_answers(name):
    model = make(name)
    found = model(IDS, model.encode(SOURCE))[0]
    longer = model(IDS, model.encode(nn.functional.pad(SOURCE, (0, 3), value=PAD)))[0]
    assert same(longer, found)
    for i, row in enumerate(SOURCE):
        alone = model(IDS[[i]], model.encode(row[row != PAD][None]))[0]
        assert same(alone[0], found[i])


def test_padding_receives_no_gradient_and_tokens_do():
    encoder = make("shared").encoder
    seen = []
    encoder.embedding.register_forward_hook(
        lambda module, args, output: seen.append(output.requires_grad_()) or output.retain_grad()
    )
    h, c = encoder(SOURCE)
    (h.sin().sum() + c.cos().sum()).backward()
    size = seen[0].grad.abs().sum(-1)  # (B, S)
    assert (size[SOURCE == PAD] == 0).all() and (size[SOURCE != PAD] > 0).all()


def test_padded_targets_change_neither_loss_nor_gradient():
    def grads(extra: int):
        model = make("shared")
        targets = nn.functional.pad(IDS, (0, extra), value=IGNORE)
        batch = Batch(nn.functional.pad(IDS, (0, extra), value=PAD), targets, SOURCE)
        loss = cross_entropy(model, batch)
        loss.backward()
        return [loss.detach()] + [p.grad for p in model.parameters()]

    assert all(same(a, b, 1e-10) for a, b in zip(grads(0), grads(3), strict=True))


@pytest.mark.parametrize("source", [torch.zeros(2, 0), torch.zeros(2, 3), torch.tensor([[4], [0]])])
def test_a_source_of_no_tokens_is_refused(source):
    with pytest.raises(ValueError, match="no tokens"):
        make("shared").encode(source.long())


def test_padding_before_a_token_is_refused():
    with pytest.raises(ValueError, match="pad at the end"):
        make("shared").encode(torch.tensor([[0, 5, 6], [5, 6, 7]]))
    with pytest.raises(ValueError, match="pad at the end"):
        make("shared").encode(torch.tensor([[5, 0, 6]]))


def test_a_decoder_that_has_read_no_source_is_refused():
    with pytest.raises(ValueError, match="model.encode"):
        make("shared")(IDS)


def test_the_source_matters():
    model = make("shared")
    other = SOURCE.clone()
    other[:, 0] = 3
    difference = model(IDS, model.encode(SOURCE))[0] - model(IDS, model.encode(other))[0]
    assert difference.abs().amax((1, 2)).min() > 1e-6


@pytest.mark.parametrize("name", ["vocab_size", "width", "layers", "embedding"])
@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_sizes_that_are_no_sizes_are_named(name, size):
    sizes = {"vocab_size": V, "width": 4, "layers": 1} | {name: size}
    for build in (LSTMLM, LSTMEncoder, lstm_seq2seq):
        with pytest.raises(ValueError, match=f"^{name} must be a positive whole number"):
            build(**sizes)


def test_lstm_is_its_gate_equations():
    """The loop of Hochreiter and Schmidhuber's cell, with the model's own weights."""
    model = make("untied")
    lstm, width, layers = model.lstm, 6, 3
    h = torch.zeros(layers, len(IDS), width, dtype=torch.float64)
    c, steps = h.clone(), []
    for t in range(IDS.shape[1]):
        x = model.embedding.weight[IDS[:, t]]  # (B, D)
        for k in range(layers):
            w_x, w_h = getattr(lstm, f"weight_ih_l{k}"), getattr(lstm, f"weight_hh_l{k}")
            b = getattr(lstm, f"bias_ih_l{k}") + getattr(lstm, f"bias_hh_l{k}")
            i, f, g, o = (x @ w_x.T + h[k] @ w_h.T + b).chunk(4, -1)
            cell = f.sigmoid() * c[k] + i.sigmoid() * g.tanh()
            x = o.sigmoid() * cell.tanh()
            h, c = h.clone(), c.clone()
            h[k], c[k] = x, cell
        steps.append(x @ model.output.weight.T + model.output.bias)
    logits, state = model(IDS)
    assert same(logits, torch.stack(steps, 1))
    assert same(state[0], h.transpose(0, 1)) and same(state[1], c.transpose(0, 1))


def test_tied_and_shared_matrices_are_counted_once():
    lstm = 2 * 4 * (6 * 6 + 6 * 6 + 6 + 6)  # two layers of four gates
    assert count_parameters(LSTMLM(V, width=6, layers=2)) == V * 6 + lstm + V
    assert count_parameters(LSTMLM(V, width=6, layers=2, tied=False)) == 2 * V * 6 + lstm + V
    assert count_parameters(lstm_seq2seq(V, width=6, layers=2)) == V * 6 + 2 * lstm + V
    assert (
        count_parameters(lstm_seq2seq(V, width=6, layers=2, share_embedding=False))
        == 2 * V * 6 + 2 * lstm + V
    )
    model = LSTMLM(V, width=6, layers=2, embedding_size=4)
    narrow = 4 * (4 * 6 + 6 * 6 + 12) + 4 * (6 * 6 + 6 * 6 + 12)
    assert count_parameters(model) == V * 4 + narrow + 6 * 4 + V


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = LSTMLM(V, width=16, layers=2, dropout=0.5)
    assert not torch.equal(model(IDS)[0], model(IDS)[0])
    model.eval()
    assert torch.equal(model(IDS)[0], model(IDS)[0])


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_can_be_learned_by_heart(name):
    torch.manual_seed(0)
    model = MODELS[name](24)
    source = SOURCE if isinstance(model, EncoderDecoder) else None
    inputs = torch.cat([torch.full((4, 1), 1), IDS[:, 1:]], 1)
    targets = torch.cat([IDS[:, 1:], torch.full((4, 1), 2)], 1)
    config = TrainConfig(steps=100, learning_rate=3e-2)
    fit(model, [Batch(inputs, targets, source)] * 100, config, progress=False)
    best = evaluate(model, [Batch(inputs, targets, source)]).loss
    # without a source nothing tells the four rows apart at their first word
    floor = 0.0 if source is not None else torch.tensor([4.0]).log().item() / 5
    assert best < floor + 0.05


def test_the_smallest_vocabulary_is_one_token():
    logits, _ = LSTMLM(1, width=2, layers=1)(torch.zeros(2, 3, dtype=torch.long))
    assert torch.equal(logits.softmax(-1), torch.ones(2, 3, 1))
    assert LSTMLM(4, width=1, layers=1)(torch.tensor([[1, 2, 3]]))[0].shape == (1, 3, 4)
