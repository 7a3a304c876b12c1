"""Every model as a graph: exported by torch.export, compiled by torch.compile, on the meta device.

No value can be looked at there. Checks of values become parts of the graph.
"""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers.tensors import same
from tests.helpers.tiny_models import (
    DECODERS,
    ENCODERS,
    IDS,
    MODELS,
    SOURCE,
    V,
    initial_state,
    make,
    state_tensors,
    state_types,
)
from utils.models.checks import check_values, has_values, is_all_true
from utils.models.encoder_decoder import EncoderDecoder
from utils.states import Memory

ROOT = Path(__file__).resolve().parents[2]
FULL_SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 9, 2], [10, 2, 4, 4], [4, 4, 4, 2]])  # unpadded
RECURRENT = (
    "rnn",
    "gru",
    "lstm",
    "start",
    "every",
    "both",
    "tive",
    "location",
    "fixed",
    "handover",
)
ONE_GRAPH = [name for name in MODELS if not any(word in name for word in RECURRENT)]
STEPS = [  # each kind of state
    "LM: nnlm",
    "LM: gru",
    "LM: lstm",
    "LM: gpt",
    "LM: gpt, pairs",
    "gru → every",
    "gru → both",
    "gru → additive",
    "gru → location",
    "gru → cnn, vector",
    "gru → cnn, attention",
    "gru → transformer",
    "gru → modern",
]
WITH_RECURRENT_LAYERS = [  # each kind of them
    "LM: rnn",
    "LM: lstm, two layers",
    "gru → start",
    "gru → location",
    "deep lstm → transformer",
    "fixed → start",
    "lstm",
]
QUICK = (  # of most lists; the others repeat the test for another model and are marked slow
    "LM: gpt",
    "transformer → transformer",
    "gru → additive",
    "lstm",
)


def each(names, *, quick=QUICK):
    """The names as parameters, of which only some are tested every time."""
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in names]


rows, length, source_length = (
    torch.export.Dim("rows", min=2, max=8),
    torch.export.Dim("length", min=4, max=7),
    torch.export.Dim("source_length", min=3, max=9),
)


class WithSource(nn.Module):
    """An encoder–decoder as a function of tensors alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, source, ids):
        return self.model(ids, self.model.begin(source))


def export(model, *, source=FULL_SOURCE, free_lengths=False):
    """The exported model, a function of a source, if there is one, and ids; any rows."""
    ids_shape = {0: rows, 1: length} if free_lengths else {0: rows}
    if not isinstance(model, EncoderDecoder):
        program = torch.export.export(model, (IDS,), dynamic_shapes={"ids": ids_shape})
        return lambda _, ids: saved_and_loaded(program)(ids)
    source_shape = {0: rows, 1: source_length} if free_lengths else {0: rows}
    program = torch.export.export(
        WithSource(model),
        (source, IDS),
        dynamic_shapes={"source": source_shape, "ids": ids_shape},
    )
    return saved_and_loaded(program)


def saved_and_loaded(program):
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file).module()


def run(model, source, ids):
    return model(ids, model.begin(source)) if isinstance(model, EncoderDecoder) else model(ids)


def assert_equal(result, expected):
    assert same(result[0], expected[0], 1e-10)
    assert state_types(result[1]) == state_types(expected[1])
    pairs = zip(state_tensors(result[1]), state_tensors(expected[1]), strict=True)
    assert all(same(a, b, 1e-10) for a, b in pairs)


@pytest.mark.parametrize("name", each(WITH_RECURRENT_LAYERS))
def test_a_recurrent_model_is_exported_and_saved_for_any_number_of_rows(name):
    with torch.no_grad():
        model = make(name)
        program = export(model)
        for B in (4, 2):
            assert_equal(program(FULL_SOURCE[:B], IDS[:B]), run(model, FULL_SOURCE[:B], IDS[:B]))


@pytest.mark.parametrize("name", each(STEPS))
def test_a_step_with_a_state_can_be_exported(name):
    with torch.no_grad():
        model = make(name)
        state = model(IDS, initial_state(model))[1]
        program = torch.export.export(model, (IDS[:, :1], state)).module()
        other = model(IDS.flip(1), initial_state(model))[1]
        assert_equal(program(IDS[:, 3:4], other), model(IDS[:, 3:4], other))


@pytest.mark.parametrize("name", each(ONE_GRAPH, quick=("transformer → transformer",)))
def test_a_model_without_recurrent_layers_is_exported_and_saved_for_any_lengths(name):
    with torch.no_grad():
        model = make(name)
        program = export(model, free_lengths=True)
        for T, source in ((5, SOURCE), (7, SOURCE[:, :3]), (4, FULL_SOURCE)):
            ids = torch.randint(3, V, (4, T))
            assert_equal(program(source, ids), run(model, source, ids))


@pytest.mark.parametrize("name", each(["cnn → transformer", "transformer → transformer"]))
def test_an_exported_model_refuses_a_wrong_source(name):
    with torch.no_grad():
        program = export(make(name), free_lengths=True)
        with pytest.raises(RuntimeError, match="a source sentence has no tokens"):
            program(torch.tensor([[5, 6, 7, 2], [0, 0, 0, 0]]), IDS[:2])
        with pytest.raises(RuntimeError, match="padded before a token"):
            program(torch.tensor([[5, 6, 7, 2], [5, 0, 7, 2]]), IDS[:2])


@pytest.mark.parametrize("name", each(["gru → transformer", "lstm"]))
def test_an_exported_recurrent_encoder_refuses_padding(name):
    with torch.no_grad():
        program = export(make(name))
        with pytest.raises(RuntimeError, match="recurrent encoder reads sources of one length"):
            program(SOURCE, IDS)


@pytest.mark.parametrize("name", ["LM: gpt-2", "gru → learned"])
def test_an_exported_model_refuses_a_text_longer_than_its_learned_positions(name):
    with torch.no_grad():
        model = make(name)
        state = model(IDS, initial_state(model))[1]
        program = torch.export.export(model, (IDS[:, :2], state)).module()
        logits, _ = program(IDS[:, :2], state)
        assert logits.shape == (4, 2, V)
        state = state._replace(tokens_read=state.tokens_read + 2)
        with pytest.raises(RuntimeError, match="too long: only 8 positions are learned"):
            program(IDS[:, :2], state)


def test_an_encoder_is_exported_with_its_memory():
    encoder = ENCODERS["transformer"](6).double()
    program = saved_and_loaded(torch.export.export(encoder, (SOURCE,)))
    memory, expected = program(SOURCE), encoder(SOURCE)
    assert type(memory) is Memory and same(memory.vector, expected.vector)
    decoder = DECODERS["transformer"](6).double()
    assert same(decoder(IDS, decoder.begin(memory))[0], decoder(IDS, decoder.begin(expected))[0])


def test_a_saved_program_with_a_state_is_loaded_elsewhere(tmp_path):
    """In another process, which knows the types of states once it has imported the model."""
    model = make("LM: gpt")
    with torch.no_grad():
        state = model(IDS)[1]
        torch.export.save(torch.export.export(model, (IDS[:, :1], state)), tmp_path / "step.pt2")
        torch.save(model(IDS[:, :1], state)[0], tmp_path / "logits.pt")
    torch.save(state, tmp_path / "state.pt")
    code = (
        "import sys, torch\n"
        "import utils.models.gpt\n"
        "folder = sys.argv[1]\n"
        "program = torch.export.load(f'{folder}/step.pt2').module()\n"
        "state = torch.load(f'{folder}/state.pt', weights_only=False)\n"
        "logits, new_state = program(torch.tensor([[1]] * 4), state)\n"
        "expected = torch.load(f'{folder}/logits.pt')\n"
        "assert torch.allclose(logits, expected) and type(new_state) is type(state)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


# ---- torch.compile ------------------------------------------------------------------------------


def compiled(model, *, fullgraph):
    torch._dynamo.reset()
    wrapped = WithSource(model) if isinstance(model, EncoderDecoder) else model
    function = torch.compile(wrapped, backend="eager", fullgraph=fullgraph)
    return function if isinstance(model, EncoderDecoder) else lambda _, ids: function(ids)


@pytest.mark.parametrize("name", each(ONE_GRAPH, quick=("transformer → transformer",)))
def test_a_model_without_recurrent_layers_compiles_to_one_graph(name):
    with torch.no_grad():
        model = make(name)
        function = compiled(model, fullgraph=True)
        for source, ids in ((FULL_SOURCE, IDS), (SOURCE, IDS[:, :4])):
            assert_equal(function(source, ids), run(model, source, ids))


COMPILED_WITH_BREAKS = ["LM: lstm", "gru → location", "lstm", "cnn → start"]


@pytest.mark.parametrize("name", each(COMPILED_WITH_BREAKS, quick=("LM: lstm", "lstm")))
def test_a_recurrent_model_compiles_with_breaks_and_reads_padded_sources(name):
    with torch.no_grad():
        model = make(name)
        function = compiled(model, fullgraph=False)
        for source in (FULL_SOURCE, SOURCE):
            assert_equal(function(source, IDS), run(model, source, IDS))


@pytest.mark.parametrize(
    "name", each(["transformer → transformer", "gru → start"], quick=("gru → start",))
)
def test_a_compiled_model_refuses_a_wrong_source(name):
    with torch.no_grad():
        function = compiled(make(name), fullgraph=False)
        with pytest.raises((RuntimeError, ValueError), match="a source sentence has no tokens"):
            function(torch.zeros_like(SOURCE), IDS)


# ---- the meta device ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_known_on_the_meta_device_and_a_model_can_leave_it(name):
    expected_model = make(name)
    with torch.device("meta"):
        model = MODELS[name](6)
        ids, source = IDS.to("meta"), SOURCE.to("meta")
        state = model.begin(source) if isinstance(model, EncoderDecoder) else None
        for _ in range(2):
            logits, state = model(ids[:, :4], state)
            assert logits.is_meta and logits.shape == (4, 4, V)
    model = model.to(torch.float64).to_empty(device="cpu").eval()
    assert len(list(model.parameters())) == len(list(expected_model.parameters())), "still tied"
    model.load_state_dict(expected_model.state_dict())
    assert_equal(run(model, SOURCE, IDS), run(expected_model, SOURCE, IDS))


@pytest.mark.parametrize("name", MODELS)
def test_weights_may_be_assigned_to_a_model_on_the_meta_device(name):
    expected_model = make(name)
    with torch.device("meta"):
        model = MODELS[name](6).eval()
    tensors = {key: tensor.clone() for key, tensor in expected_model.state_dict().items()}
    model.load_state_dict(tensors, assign=True)
    assert len(list(model.parameters())) == len(list(expected_model.parameters())), "still tied"
    assert_equal(run(model, SOURCE, IDS), run(expected_model, SOURCE, IDS))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_keeps_its_numbers_in_double_precision(name):
    model = make(name, torch.float32)
    expected, _ = run(model, SOURCE, IDS)
    logits, _ = run(model.to(torch.float64), SOURCE, IDS)
    assert logits.dtype == torch.float64
    assert same(logits, expected.double(), 1e-4 * max(1.0, expected.abs().max().item()))


# ---- checks of values ---------------------------------------------------------------------------


def test_values_are_checked_where_there_are_any():
    check_values(torch.tensor(True), "wrong")
    with pytest.raises(ValueError, match="wrong"):
        check_values(torch.tensor(False), "wrong")
    check_values(torch.tensor(False, device="meta"), "wrong")
    assert is_all_true(torch.ones(3, dtype=torch.bool)) and is_all_true(torch.ones(0))
    assert not is_all_true(torch.tensor([True, False]))
    assert not is_all_true(torch.ones(3, dtype=torch.bool, device="meta"))
    assert has_values(torch.ones(1)) and not has_values(torch.ones(1, device="meta"))
