"""What a model is given is checked: sizes, token ids, the state, the memory of an encoder.

Most tests run on every model of tiny_models.py.
"""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch
from torch import nn

import utils.models
import utils.speech
from tests.helpers.tiny_models import (
    ENCODER_DECODERS,
    IDS,
    MODELS,
    SOURCE,
    V,
    initial_state,
    make,
    state_tensors,
)
from utils.decoding.model_state import map_tensors, select_rows
from utils.models.attention_decoder import AttentionDecoder
from utils.models.checks import (
    BATCH,
    OptionalForm,
    TensorForm,
    check_call,
    check_id_tensor,
    check_memory,
)
from utils.models.convolutional import CNNDecoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.layers import make_norm
from utils.models.multi_head import SelfAttention
from utils.models.nbsvm import NBSVM
from utils.models.ngram_counts import NGramCounts
from utils.models.recurrent import make_rnn
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder
from utils.models.transformer_stack import TransformerStack
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.states import LSTMState, Memory

every_model = pytest.mark.parametrize("name", MODELS)
NO_STATE = "this is not a state of this|the state of an NNLM"


@pytest.mark.parametrize(
    "ids, message",
    [
        (IDS.double(), "integers of type int64 or int32; got torch.float64"),
        (IDS > 3, "got torch.bool"),
        (IDS[0], re.escape("a batch (B, T); got the shape (5,): ids[None] makes a batch")),
        (IDS[None], re.escape("got the shape (1, 4, 5)")),
    ],
)
@every_model
def test_ids_that_are_no_batch_of_whole_numbers_are_refused(name, ids, message):
    model = make(name)
    with pytest.raises(ValueError, match=message):
        model(ids, initial_state(model))
    if isinstance(model, EncoderDecoder):
        with pytest.raises(ValueError, match=message):
            model.begin(ids)


@every_model
def test_ids_may_have_32_bits(name):
    model = make(name)
    logits, state = model(IDS, initial_state(model))
    narrow_logits, narrow_state = model(IDS.int(), initial_state(model))
    assert torch.equal(narrow_logits, logits)
    narrow_logits, _ = model(IDS[:, :1].int(), narrow_state)
    assert torch.equal(narrow_logits, model(IDS[:, :1], state)[0])


@every_model
def test_a_state_of_another_batch_is_refused(name):
    model = make(name)
    states = [model(IDS, initial_state(model))[1], initial_state(model)]
    for state in states:
        for rows in ([0], [0, 1, 2], [0, 1, 2, 3, 3]):
            if state_tensors(state):
                with pytest.raises(ValueError, match=NO_STATE):
                    model(IDS, select_rows(state, torch.tensor(rows)))


@pytest.mark.parametrize("name", [name for name in MODELS if "nnlm" not in name])
def test_a_state_of_another_precision_is_refused(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    for dtype in (torch.float32, torch.bfloat16):
        wrong = map_tensors(lambda x, d=dtype: x.to(d) if x.is_floating_point() else x, state)
        with pytest.raises(ValueError, match=f"expected torch.float64.* got {dtype}; pass"):
            model(IDS, wrong)
    wrong = map_tensors(lambda x: x.long(), state)
    with pytest.raises(ValueError, match=r"got torch\.int64"):
        model(IDS, wrong)


def runs_in_bfloat16(cell):
    """False if the processor lacks the instructions that torch's cell of this kind needs."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cell(2, 2)(torch.ones(1, 1, 2))
    except RuntimeError:  # oneDNN finds no primitive
        return False
    return True


@every_model
def test_under_autocast_a_state_may_have_its_precision(name):
    model = make(name, torch.float32)
    for cell in {type(part) for part in model.modules() if isinstance(part, nn.RNNBase)}:
        if not runs_in_bfloat16(cell):
            pytest.skip(f"torch has no {cell.__name__} in bfloat16 for this processor")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, state = model(IDS, initial_state(model))
        step, _ = model(IDS[:, :1], state)
    expected, state = model(IDS, initial_state(model))
    scale = expected.abs().max()
    assert (logits - expected).abs().max() < 0.2 * scale
    assert (step - model(IDS[:, :1], state)[0]).abs().max() < 0.2 * scale


OTHERS = {
    "nnlm": lambda: NNLM(V, order=3, embedding_size=6, hidden_size=6),
    "rnn": lambda: RNNLM(V, width=8),
    "rnn of two layers": lambda: RNNLM(V, width=6, num_layers=4),
    "lstm": lambda: RNNLM(V, width=8, cell="lstm"),
    "gpt": lambda: GPT(V, width=8, num_heads=2, num_layers=2),
    "deeper gpt": lambda: GPT(V, width=6, num_heads=3, num_layers=3),
    "gpt of other heads": lambda: GPT(
        V, width=6, num_heads=2, num_layers=2, qk_norm=False, positional_encoding="learned"
    ),
    "gpt with triples": lambda: GPT(
        V, width=6, num_heads=1, num_layers=2, ngram_table_sizes=(9, 9, 9)
    ),
}


@every_model
def test_a_state_of_another_model_is_refused(name):
    model = make(name)
    for other in OTHERS.values():
        other_state = other().double()(IDS)[1]
        with pytest.raises(ValueError, match=NO_STATE):
            model(IDS, other_state)
    own_type = type(model(IDS, initial_state(model))[1])
    for other_name in ("start", "location", "cnn, attention", "transformer"):
        other_state = make(f"gru → {other_name}").begin(SOURCE)
        if type(other_state) is not own_type:
            with pytest.raises(ValueError, match=NO_STATE):
                model(IDS, other_state)
    for wrong in ((), [], "state", 0, {"state": torch.zeros(4, 6)}):
        with pytest.raises(ValueError, match=NO_STATE):
            model(IDS, wrong)


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_a_model_with_a_source_needs_a_state(name):
    with pytest.raises(ValueError, match=r"got None; pass .* of begin\(\)"):
        make(name)(IDS, None)


def test_the_state_of_a_feed_forward_model_is_ids():
    model = make("LM: nnlm")
    message = r"is the last 3 ids of each row, shape \(4, 3\); got "
    for state, kind in (
        (torch.zeros(4, 3), r"\(4, 3\) torch.float32"),
        (torch.zeros(4, 2, dtype=torch.int64), r"\(4, 2\) torch.int64"),
        ([1, 2, 3], "a list"),
    ):
        with pytest.raises(ValueError, match=message + kind):
            model(IDS, state)


def test_the_message_says_where_a_state_differs():
    model = make("gru → transformer")
    state = model(IDS, model.begin(SOURCE))[1]
    caches = (state.caches[0], state.caches[1]._replace(values=state.caches[1].values[:, :2]))
    message = (
        r"this TransformerDecoder .*: expected the shape \(4, 3, any, 2\) at caches\[1\].values"
    )
    with pytest.raises(ValueError, match=message + r", got \(4, 2, 5, 2\); pass"):
        model(IDS, state._replace(caches=caches))
    with pytest.raises(ValueError, match=r"expected a tuple of 2 at caches, got a tuple of 1"):
        model(IDS, state._replace(caches=caches[:1]))
    with pytest.raises(ValueError, match=r"expected torch.bool at is_token, got torch.int64"):
        model(IDS, state._replace(is_token=state.is_token.long()))


def test_an_lstm_takes_a_plain_pair_as_torchs_lstm_returns_it():
    model = make("lstm")
    state = model.begin(SOURCE)
    assert type(state) is LSTMState
    logits, after = model(IDS, tuple(state))
    assert torch.equal(logits, model(IDS, state)[0]) and type(after) is LSTMState


def test_forms_may_leave_sizes_and_types_open():
    model = make("LM: rnn")
    form = OptionalForm((TensorForm((BATCH, None)), TensorForm((None,), torch.int64), None))
    numbers = torch.zeros(1, 7, dtype=torch.float64), torch.zeros(9, dtype=torch.int64)
    check_call(model, IDS[:1], (*numbers, None), form)
    check_call(model, IDS[:1], None, form)
    for state, message in (
        ((*numbers, numbers[0]), r"expected None at \[2\], got a tensor \(1, 7\)"),
        ((numbers[0][0], numbers[1], None), r"expected the shape \(1, any\) at \[0\], got \(7,\)"),
        ((None, numbers[1], None), r"expected a tensor \(1, any\) at \[0\], got None"),
    ):
        with pytest.raises(ValueError, match=message):
            check_call(model, IDS[:1], state, form)


@pytest.mark.parametrize(
    "decoder",
    [
        RNNDecoder(V, width=6),
        AttentionDecoder(V, width=6),
        CNNDecoder(V, width=6),
        CNNDecoder(V, width=6, use_attention=False),
        TransformerDecoder(V, width=6, num_heads=1),
    ],
    ids=lambda decoder: type(decoder).__name__,
)
def test_a_decoder_refuses_an_encoder_of_another_width(decoder):
    message = "decoder reads vectors of length 6, but the encoder's (states|vector) have length 8"
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(RNNEncoder(V, width=8), decoder).begin(SOURCE)


def test_a_memory_is_checked_as_far_as_it_is_read():
    memory = Memory(torch.zeros(2, 3, 6), torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 8))
    check_memory(memory, width=6, parts=("states",))
    check_memory(memory, width=8, parts=("vector",))
    with pytest.raises(ValueError, match="vector have length 8: build both with the same width"):
        check_memory(memory, width=6)


def test_a_decoder_refuses_a_source_in_place_of_a_memory():
    with pytest.raises(ValueError, match="begins with the Memory of an encoder; got a Tensor"):
        RNNDecoder(V, width=6).begin(SOURCE)


@pytest.mark.parametrize("ids", [[[4, 5]], np.array([[4, 5]]), None])
def test_ids_that_are_not_a_tensor_are_refused(ids):
    with pytest.raises(ValueError, match=r"ids must be a tensor \(B, T\), got \w+"):
        check_id_tensor(ids)


SIZES = {
    "context_length",
    "embedding_size",
    "feedforward_size",
    "head_width",
    "hidden_size",
    "in_features",
    "input_size",
    "kernel_size",
    "max_positions",
    "num_classes",
    "num_filters",
    "num_heads",
    "num_layers",
    "order",
    "out_features",
    "vocab_size",
    "width",
    "window",
}
SEQUENCES = {"kernel_sizes", "ngram_table_sizes", "strides", "table_sizes"}  # of sizes
ARGUMENTS = {  # of parameters without a default
    "cell": "gru",
    "dropout": 0.0,
    "encoder": nn.Identity(),
    "encoding": "learned",
    "head_width": 4,
    "in_features": 4,
    "input_size": 4,
    "max_positions": 4,
    "norm": "rms",
    "num_heads": 3,
    "num_layers": 1,
    "order": 2,
    "out_features": 4,
    "sequences": [],
    "table_sizes": (9,),
    "vocab_size": V,
    "width": 12,
}


def module_classes(package):
    """The classes of torch modules of a package; of stacks, those that can be built."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            is_own = inspect.isclass(value) and value.__module__ == info.name
            if is_own and issubclass(value, nn.Module) and value is not TransformerStack:
                yield value


BUILDERS = [
    *module_classes(utils.models),
    *module_classes(utils.speech),
    NBSVM,
    NGramCounts,
    lstm_seq2seq,
    make_norm,
    make_rnn,
]


def cases(names):
    """Each builder with each of its parameters that has one of some names."""
    return [
        pytest.param(build, name, id=f"{build.__name__}-{name}")
        for build in BUILDERS
        for name in inspect.signature(build).parameters
        if name in names
    ]


def build_with(build, name, value):
    """Build something of valid arguments except for one."""
    parameters = inspect.signature(build).parameters.values()
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    return build(**{key: ARGUMENTS[key] for key in required} | {name: value})


def test_the_modules_of_all_packages_are_found():
    found = {case.values[0] for case in cases(SIZES)}
    assert {GPT, NNLM, SelfAttention, CTCRecognizer} < found and len(found) > 25


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
@pytest.mark.parametrize("build, name", cases(SIZES))
def test_a_size_that_is_no_positive_integer_is_refused_by_its_name(build, name, wrong):
    with pytest.raises(ValueError, match=rf"^{name} must be an? .*integer.*, got {wrong}"):
        build_with(build, name, wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
@pytest.mark.parametrize("build, name", cases(SEQUENCES))
def test_a_size_in_a_sequence_is_refused_by_its_number(build, name, wrong):
    with pytest.raises(ValueError, match=rf"^{name}\[1\] must be a positive integer, got {wrong}"):
        build_with(build, name, (9, wrong))


@pytest.mark.parametrize("wrong", [5.0, 1.0, -0.1, None])
@pytest.mark.parametrize("build, name", cases({"dropout"}))
def test_a_dropout_that_is_no_probability_is_refused(build, name, wrong):
    with pytest.raises(
        ValueError, match=f"^dropout must be a number at least 0 and below 1, got {wrong}"
    ):
        build_with(build, name, wrong)
