"""States and memories: their types, torch's trees, the order of rows, and a decoder's first state.

Most tests run on every model of tiny_models.py.
"""

import pytest
import torch
from torch.utils import _pytree as pytree

from tests.helpers.tensors import same
from tests.helpers.tiny_models import (
    ENCODER_DECODERS,
    IDS,
    MODELS,
    SOURCE,
    initial_state,
    make,
    state_tensors,
    state_types,
)
from utils.decoding.model_state import map_tensors, select_rows
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.convolutional import CNNDecoder, CNNDecoderState
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.gpt import GPT, GPTState
from utils.models.kv_cache import KVCache
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent_decoders import LSTMDecoder, RNNDecoder, RNNDecoderState
from utils.models.recurrent_encoders import LSTMEncoder
from utils.models.transformer import TransformerDecoder, TransformerDecoderState
from utils.states import LSTMState, Memory, RecurrentMemory

STATES = {
    NNLM: torch.Tensor,
    RNNLM: torch.Tensor,  # of an LSTM an LSTMState
    GPT: GPTState,
    RNNDecoder: RNNDecoderState,
    LSTMDecoder: LSTMState,
    AttentionDecoder: AttentionDecoderState,
    CNNDecoder: CNNDecoderState,
    TransformerDecoder: TransformerDecoderState,
}
"""The type of each model's state."""
NAMED_TUPLES = (
    LSTMState,
    KVCache,
    GPTState,
    RNNDecoderState,
    AttentionDecoderState,
    CNNDecoderState,
    TransformerDecoderState,
)


def expected_state_type(model) -> type:
    is_lstm = isinstance(model, RNNLM) and model.cell == "lstm"
    return LSTMState if is_lstm else STATES[type(model)]


@pytest.mark.parametrize("name", MODELS)
def test_a_state_is_of_the_type_that_belongs_to_its_model(name):
    model = make(name)
    state_type = expected_state_type(model.decoder if isinstance(model, EncoderDecoder) else model)
    states = [model(IDS[:, :1], initial_state(model))[1], model(IDS, initial_state(model))[1]]
    if isinstance(model, EncoderDecoder):
        states.append(initial_state(model))
    for state in states:
        assert type(state) is state_type
        assert not any(issubclass(part_type, (dict, list)) for part_type in state_types(state))


@pytest.mark.parametrize("name", MODELS)
def test_keys_and_values_are_kv_caches(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    for field in ("caches", "memory_caches"):
        for cache in getattr(state, field, ()):
            assert type(cache) is KVCache and cache.keys.shape == cache.values.shape


def test_states_are_named_tuples():
    for state_type in NAMED_TUPLES:
        assert issubclass(state_type, tuple) and state_type._fields
    assert {t for t in STATES.values() if t is not torch.Tensor} <= set(NAMED_TUPLES)


@pytest.mark.parametrize("name", MODELS)
def test_torchs_trees_flatten_a_state_and_rebuild_it(name):
    """So that torch.func, torch.export and others take states as they are."""
    model = make(name)
    for state in (initial_state(model), model(IDS, initial_state(model))[1]):
        leaves, structure = pytree.tree_flatten(state)
        assert all(leaf is None or isinstance(leaf, torch.Tensor) for leaf in leaves)
        rebuilt = pytree.tree_unflatten(leaves, structure)
        assert state_types(rebuilt) == state_types(state)
        pairs = zip(state_tensors(rebuilt), state_tensors(state), strict=True)
        assert all(a is b for a, b in pairs)
        doubled = pytree.tree_map_only(torch.Tensor, lambda x: x + x, state)
        mapped = map_tensors(lambda x: x + x, state)
        assert state_types(mapped) == state_types(state)
        pairs = zip(state_tensors(doubled), state_tensors(mapped), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_state_has_the_batch_first_and_can_be_reordered(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    assert state_tensors(state) and all(len(tensor) == len(IDS) for tensor in state_tensors(state))
    rows = torch.tensor([3, 0, 0, 2, 1])
    selected = select_rows(state, rows)
    assert state_types(selected) == state_types(state)
    pairs = zip(state_tensors(selected), state_tensors(state), strict=True)
    assert all(torch.equal(a, b[rows]) for a, b in pairs)
    token = torch.tensor([[4], [5], [6], [7], [8]])
    logits = model(token, selected)[0]
    sources = rows if isinstance(model, EncoderDecoder) else slice(None)
    expected = model(torch.cat([IDS[rows], token], 1), initial_state(model, sources))[0]
    assert same(logits[:, 0], expected[:, -1])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_a_first_state_can_be_reordered(name):
    model, rows = make(name), torch.tensor([2, 0, 0])
    state = select_rows(model.begin(SOURCE), rows)
    assert same(model(IDS[rows], state)[0], model(IDS, model.begin(SOURCE))[0][rows])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_encode_begins_the_decoder_with_the_encoders_memory(name):
    model = make(name)
    memory = model.encoder(SOURCE)
    hands_over = isinstance(model.encoder, LSTMEncoder)
    assert type(memory) is (RecurrentMemory if hands_over else Memory)
    assert memory.is_token.dtype == torch.bool
    B, S = memory.states.shape[:2]
    assert memory.is_token.shape == (B, S) and memory.vector.shape == (B, 6) and B == len(SOURCE)
    state = model.decoder.begin(memory)
    assert all(len(tensor) == len(SOURCE) for tensor in state_tensors(state))
    pairs = zip(state_tensors(state), state_tensors(model.begin(SOURCE)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(model.decoder(IDS, state)[0], model(IDS, model.begin(SOURCE))[0])
