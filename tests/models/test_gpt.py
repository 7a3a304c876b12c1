"""GPT: equal to torch's encoder, its window, positions and n-gram vectors, cache, and decoding.

What it shares with all other models is tested on several of its kinds in test_contract.py.
"""

from typing import Any

import pytest
import torch
from torch import nn

from tests.helpers.tensors import same
from tests.helpers.torch_layers import copy_weights
from utils.data.batches import Batch
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT, GPTState
from utils.models.kv_cache import KVCache
from utils.models.positions import sinusoidal_encoding
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.optimizers import muon

V, B, T = 11, 3, 7
GPT2 = {
    "positional_encoding": "learned",
    "norm": "layer",
    "activation": "gelu",
    "qk_norm": False,
    "bias": True,
}
MODELS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "sinusoidal": {"positional_encoding": "sinusoidal"},
    "learned": {"positional_encoding": "learned", "context_length": 20},
    "gpt2": GPT2 | {"context_length": 20},
}


def make(name: str) -> GPT:
    """In evaluation mode, with weights large enough for every part to matter."""
    torch.manual_seed(0)
    model = GPT(V, width=16, num_layers=2, num_heads=2, zero_init=False, **MODELS[name])
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture
def ids():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("context_length", [1, 3, T, T + 1, 20])
def test_a_state_keeps_the_keys_that_the_next_token_sees(context_length, ids):
    model = GPT(V, width=16, num_layers=2, num_heads=2, context_length=context_length)
    state = None
    for part in ids.split([2, 4, 1], 1):
        state = model(part, state)[1]
    assert state.tokens_read.tolist() == [T] * B and len(state.caches) == 2
    assert {cache.keys.shape[2] for cache in state.caches} == {min(T, context_length - 1)}


def test_the_vectors_of_n_grams_are_added_to_the_words(ids):
    """With layers that are the identity, the sum of vectors remains: by plain loops."""
    torch.manual_seed(0)
    model = GPT(V, width=16, num_layers=2, num_heads=2, ngram_table_sizes=(V * V, 50)).double()
    words, pairs, triples = (t.weight for t in (model.embedding, *model.ngram_embedding.tables))
    expected = torch.empty(B, T, 16, dtype=torch.float64)
    for b, row in enumerate(ids.tolist()):
        for t, (u, v, w) in enumerate(zip([PAD, PAD, *row], [PAD, *row], row, strict=False)):
            expected[b, t] = words[w] + pairs[V * v + w] + triples[(V * V * u + V * v + w) % 50]
    logits, state = model(ids)
    assert same(logits, model.norm(expected) @ words.T)
    assert torch.equal(state.ngram_context, ids[:, -2:])
    plain = GPT(V, width=16, num_layers=2, num_heads=2)
    assert plain(ids)[1].ngram_context is None
    assert count_parameters(model) == count_parameters(plain) + 16 * (V * V + 50)


def test_n_gram_vectors_start_larger_than_word_vectors():
    torch.manual_seed(0)
    model = GPT(2000, width=64, num_layers=1, num_heads=2, ngram_table_sizes=(500, 500))
    assert all(abs(table.weight.std() - 0.1) < 0.005 for table in model.ngram_embedding.tables)
    assert abs(model.embedding.weight.std() - 0.02) < 0.001


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("context_length", [1, 2, 3])
def test_the_window_of_each_layer_adds_its_reach(num_layers, context_length, ids):
    """A token depends on the last layers · (context_length − 1) tokens before it."""
    torch.manual_seed(0)
    model = GPT(
        V,
        width=16,
        num_layers=num_layers,
        num_heads=2,
        context_length=context_length,
        zero_init=False,
    ).double()
    reach = num_layers * (context_length - 1)
    logits = model(ids)[0][:, -1]
    for distance in range(T):
        other = ids.clone()
        other[:, T - 1 - distance] = (other[:, T - 1 - distance] + 1) % V
        change = (model(other)[0][:, -1] - logits).abs().amax(-1)  # (B,)
        assert (change > 1e-12).all() if distance <= reach else (change == 0).all(), distance


def test_rotary_logits_do_not_depend_on_the_position_of_the_text(ids):
    """A text that begins at position 1,000 of a state without any earlier keys."""
    empty = torch.zeros(B, 2, 0, 8, dtype=torch.float64)
    state = GPTState(torch.full((B,), 1000), caches=(KVCache(empty, empty),) * 2)
    rotary, sinusoidal = make("rotary"), make("sinusoidal")
    assert same(rotary(ids, state)[0], rotary(ids)[0], 1e-9)
    assert not same(sinusoidal(ids, state)[0], sinusoidal(ids)[0], 1e-3)


@pytest.mark.parametrize("name", ["rotary", "sinusoidal", "learned"])
def test_the_order_of_the_words_matters(name):
    model = make(name)
    a, b = model(torch.tensor([[4, 5, 6], [5, 4, 6]]))[0][:, -1]
    assert (a - b).abs().max() > 1e-6


def test_learned_positions_end_with_the_context_length():
    model = GPT(
        V, width=8, num_layers=1, num_heads=2, context_length=4, positional_encoding="learned"
    )
    ids = torch.full((2, 5), 4)
    state = model(ids[:, :4])[1]
    for call in (lambda: model(ids), lambda: model(ids[:, :1], state)):
        with pytest.raises(
            ValueError, match=r"5 tokens long, .* only 4 positions are learned.*rotary"
        ):
            call()


def test_gpt2_is_torchs_encoder_with_copied_weights(ids):
    """nn.TransformerEncoder with a causal mask; embeddings and output by hand."""
    model = make("gpt2")
    torch_layer = nn.TransformerEncoderLayer(
        16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True
    )
    torch_stack = nn.TransformerEncoder(
        torch_layer, 2, nn.LayerNorm(16), enable_nested_tensor=False
    ).double()
    with torch.no_grad():
        for parameter in torch_stack.parameters():
            parameter.normal_(std=0.3)
    copy_weights(model, torch_stack)
    assert model.output.weight is model.embedding.weight and model.output.bias is None
    positions = model.positional_encoding.table.weight[:T]
    words = model.embedding.weight[ids]
    x = torch_stack(words + positions, mask=torch.ones(T, T, dtype=torch.bool).triu(1))
    assert same(model(ids)[0], x @ model.embedding.weight.T)


@pytest.mark.parametrize("D, num_layers, num_heads, context_length", [(16, 2, 2, 5), (24, 3, 4, 8)])
def test_the_number_of_parameters_is_that_of_the_formula(D, num_layers, num_heads, context_length):
    sizes = {
        "width": D,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "context_length": context_length,
    }
    matrices = num_layers * (4 + 8) * D * D
    norms = 2 * num_layers + 1
    assert count_parameters(GPT(V, **sizes)) == V * D + matrices + norms * D
    biases = num_layers * (3 + 1 + 4 + 1) * D
    gpt2 = V * D + context_length * D + matrices + biases + norms * 2 * D
    assert count_parameters(GPT(V, **sizes, **GPT2)) == gpt2


def test_with_zero_init_each_layer_starts_as_the_identity(ids):
    model = GPT(V, width=16, num_layers=2, num_heads=2).double()
    expected = model.norm(model.embedding(ids)) @ model.embedding.weight.T
    assert same(model(ids)[0], expected)


def test_sinusoids_are_added_to_word_vectors_of_their_size(ids):
    """Word vectors times √D, so that they are not small beside sinusoids."""
    model = GPT(V, width=16, num_layers=2, num_heads=2, positional_encoding="sinusoidal").double()
    words = model.embedding.weight[ids] * 4
    x = words + sinusoidal_encoding(torch.arange(T), 16, dtype=torch.float64)
    assert same(model(ids)[0], model.norm(x) @ model.embedding.weight.T)


def test_without_it_weights_start_as_in_gpt2():
    torch.manual_seed(0)
    model = GPT(V, width=256, num_layers=8, num_heads=2, zero_init=False, bias=True)
    for layer in model.layers:
        for linear, std in (
            (layer.attention.qkv_projection, 0.02),
            (layer.attention.output_projection, 0.005),  # 0.02 / √(2 · 8 layers)
            (layer.up_projection, 0.02),
            (layer.down_projection, 0.005),
        ):
            assert abs(linear.weight.std() / std - 1) < 0.05
            assert (linear.bias == 0).all()


def test_dropout_acts_in_training_only(ids):
    model = GPT(V, width=16, num_layers=1, num_heads=2, dropout=0.5)
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


TEXTS = torch.tensor([[BOS, 5, 6, 7, 8], [BOS, 9, 9, 4, 4], [BOS, 3, 10, 4, 5], [BOS, 4, 5, 6, 7]])


def train_by_heart(**options) -> tuple[GPT, float]:
    """A model trained on `TEXTS` by Muon, and its loss."""
    torch.manual_seed(0)
    model = GPT(V, width=32, num_layers=2, num_heads=2, context_length=5, **options)
    targets = torch.cat([TEXTS[:, 1:], torch.full((4, 1), EOS)], 1)
    batch = Batch(TEXTS, targets)
    config = TrainConfig(steps=60, learning_rate=1e-2)
    fit(model, [batch] * 60, config, progress=False, make_optimizer=muon)
    return model, evaluate(model, [batch]).loss


@pytest.mark.parametrize("options", [{}, GPT2])
def test_one_batch_can_be_learned_by_heart_with_muon(options):
    _, loss = train_by_heart(**options)
    lowest = torch.tensor(4.0).log().item() / 5  # the first word of each text cannot be predicted
    assert lowest - 1e-4 < loss < lowest + 0.05


def test_greedy_search_beam_search_and_sampling_run_on_it():
    model, _ = train_by_heart()
    prompts, continuations = TEXTS[:, :2], TEXTS[:, 2:].tolist()
    assert greedy_search(model, prompts, max_length=9) == continuations
    results = beam_search(model, prompts, beam=BeamConfig(3), max_length=9)
    assert [hypotheses[0].ids for hypotheses in results] == continuations
    config = SamplingConfig(temperature=0.1)
    assert sample(model, prompts, sampling=config, max_length=9) == continuations


def test_a_text_may_grow_beyond_the_context_length():
    """The window slides."""
    torch.manual_seed(0)
    model = GPT(V, width=16, num_layers=1, num_heads=2, context_length=3).eval()
    config = SamplingConfig(temperature=2.0)
    texts = sample(model, TEXTS[:, :2], sampling=config, max_length=20)
    assert max(map(len, texts)) > 3


def test_mistakes_are_named():
    message = "positional_encoding is 'alibi'; choose from learned, rotary, sin"
    with pytest.raises(ValueError, match=message):
        GPT(V, positional_encoding="alibi")
    with pytest.raises(ValueError, match="3 heads do not divide a width of 16"):
        GPT(V, width=16, num_heads=3)


def test_it_compiles_to_one_graph_for_all_lengths_and_is_exported_with_a_free_one():
    model, graphs = make("rotary"), []

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model(ids)[0]

    def count_graphs(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(Logits(), backend=count_graphs, fullgraph=True)
    length = torch.export.Dim("length", min=2, max=model.context_length - 1)
    rows = torch.export.Dim("rows", min=1, max=8)
    example, free = torch.zeros(2, 9, dtype=torch.long), {"ids": {0: rows, 1: length}}
    program = torch.export.export(Logits(), (example,), dynamic_shapes=free)
    with torch.no_grad():
        for shape in ((2, 7), (2, 8), (2, 9), (2, 12)):
            text = torch.randint(V, shape)
            assert same(compiled(text), model(text)[0]), shape
            assert same(program.module()(text), model(text)[0]), shape
    assert len(graphs) == 2, "one for the first length, one for all others"
