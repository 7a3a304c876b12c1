"""The models of the notebooks at the sizes of a GPU: each can be built, and takes a step.

The book is executed on a processor, so that nothing else tries these sizes. A notebook's knobs are
read from its cell of that name, once as on a processor and once as on a GPU. Of the calls that
build a model, those are made here that name a knob with two values.
"""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.pretended_device import pretended_device
from utils import runtime
from utils.models.attention_decoder import AttentionDecoder
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.models.transformer_layer import TransformerLayer
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.features import NUM_MEL_BANDS
from utils.states import Memory
from utils.studies.scaling_runs import CONTEXT_LENGTH, NUM_HEADS, NUM_LAYERS

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
V = 40
IDS = torch.tensor([[1, 5, 6, 7], [1, 8, 9, 2]])  # (B, T)
ENCODERS = (CNNEncoder, FixedVectorEncoder, LSTMEncoder, RNNEncoder, TransformerEncoder)
DECODERS = (AttentionDecoder, CNNDecoder, RNNDecoder, TransformerDecoder)
LANGUAGE_MODELS = (GPT, NNLM, RNNLM)
OTHERS = (Classifier, CTCRecognizer, EncoderDecoder, TransformerLayer, WordCNNEncoder)
BUILDERS: dict[str, Any] = {
    builder.__name__: builder
    for builder in (*ENCODERS, *DECODERS, *LANGUAGE_MODELS, *OTHERS, lstm_seq2seq)
}
# What a call finds in the function around it, as an expression of the knobs.
LOCALS: dict[str, dict[str, str]] = {
    "05-1": {"NUM_CHARACTERS": "V"},
    "06-1": {"options": "{'cell': 'lstm', 'attention_score': 'scaled'}"},
}
# Models whose sizes reach them by the arguments of a function.
INDIRECT = {
    "02-2": """[
        GPT(V, width=D, num_layers=NUM_LAYERS, num_heads=NUM_HEADS, context_length=CONTEXT_LENGTH)
        for D in WIDTHS
    ]""",
    "03-2": """[
        RNNEncoder(V, width=TRANSLATOR_WIDTH, dropout=0.1),
        AttentionDecoder(V, width=TRANSLATOR_WIDTH, attention_score="additive", dropout=0.1),
    ]""",
    "03-1": "[RNNLM(V, width=WIDTH, cell='lstm', tied=True)]",
    "09-1": "[Classifier(RNNEncoder(V, width=WIDTH), input_size=WIDTH)]",
}
SIZES = {"HIDDEN", "LAYERS", "SCALE", "STACK", "STATE", "TRANSLATOR_WIDTH", "WIDTH", "WIDTHS"}
IMPORTS = (ast.Import, ast.ImportFrom)
SHALLOW = {"LARGE": {"num_layers": 1}}  # a layer of the largest model stands for all of them


class _Quiet:
    """What a cell of knobs calls beside reading the device; it changes nothing here."""

    float64 = torch.float64
    perf_counter = seed_everything = set_default_dtype = style = staticmethod(lambda *_: None)
    select_device = staticmethod(runtime.select_device)
    use_full_precision = staticmethod(runtime.use_full_precision)


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def parsed(cell):
    """The syntax tree of a cell, without the lines that are IPython's."""
    return ast.parse("".join(line for line in cell["source"] if line[:1] not in "%!"))


def read_knobs(path):
    """The names that the cell of knobs gives values to, and these values."""
    cells = code_cells(path)
    (index,) = [i for i, c in enumerate(cells) if "knobs" in c["metadata"].get("tags", ())]
    names: dict[str, Any] = {}
    for cell in cells[1:index]:  # the first one installs what Colab lacks
        imports = [node for node in parsed(cell).body if isinstance(node, IMPORTS)]
        exec(compile(ast.Module(imports, []), path.name, "exec"), names)
    names |= dict.fromkeys(("plotting", "runtime", "time", "torch"), _Quiet)
    names |= {"seed_everything": _Quiet.style, "select_device": runtime.select_device}
    names["use_full_precision"] = runtime.use_full_precision
    known = {*names, "__builtins__"}
    exec("".join(cells[index]["source"]), names)
    return {name: value for name, value in names.items() if name not in known}


def calls_with(path, knobs):
    """The calls of a notebook that build a model and name one of the knobs, as expressions."""
    for cell in code_cells(path):
        for node in ast.walk(parsed(cell)):
            is_builder = isinstance(node, ast.Call) and getattr(node.func, "id", "") in BUILDERS
            if is_builder and {getattr(part, "id", "") for part in ast.walk(node)} & knobs:
                yield ast.unparse(node)


def entry_for(path, table, default):
    """The entry of a table for a notebook, by the number in its name."""
    return next((x for number, x in table.items() if path.stem.startswith(number)), default)


def names_for(path, knobs):
    """What the expressions of a notebook need: builders, knobs, and stand-ins for tokenizers."""
    names = BUILDERS | {"V": V, "C": V, "vocab_size": V, "len": lambda _: V}
    names |= {"NUM_LAYERS": NUM_LAYERS, "NUM_HEADS": NUM_HEADS, "CONTEXT_LENGTH": CONTEXT_LENGTH}
    names |= dict.fromkeys("bpe both letters pieces tokens words".split()) | knobs
    names |= {name: knobs[name] | sizes for name, sizes in SHALLOW.items() if name in knobs}
    for name, expression in entry_for(path, LOCALS, {}).items():
        names[name] = eval(expression, names)
    return names


def take_step(model, device):
    """Compute the model's outputs for a small batch on the device, and their gradient."""
    ids, source, B = IDS.to(device), IDS.to(device), len(IDS)
    if isinstance(model, LANGUAGE_MODELS):
        output, _ = model(ids)
    elif isinstance(model, ENCODERS):
        output = model(source).states
    elif isinstance(model, Classifier | WordCNNEncoder):
        output = model(ids)
        output = output if isinstance(output, torch.Tensor) else output.vector
    elif isinstance(model, CTCRecognizer):
        features = torch.randn(B, 40, NUM_MEL_BANDS, device=device)
        output, _ = model(features, torch.tensor([40, 20], device=device))
    elif isinstance(model, TransformerLayer):
        width = next(model.parameters()).shape[-1]
        output, _ = model(torch.randn(B, 5, width, device=device))
    elif isinstance(model, EncoderDecoder):
        output, _ = model(ids, model.begin(source))
    else:
        states = torch.randn(B, 3, model.embedding.embedding_dim, device=device)
        is_token = torch.ones(B, 3, dtype=torch.bool, device=device)
        output, _ = model(ids, model.begin(Memory(states, is_token, states.mean(1))))
    assert output.isfinite().all()
    output.sum().backward()


@pytest.fixture(autouse=True)
def _rounding_by_default(monkeypatch):
    """What a cell of knobs changes is as before after a test."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_that_chooses_a_device_computes_in_full_precision(path):
    """Its checks compare recurrent layers of a GPU with loops, to more than 11 binary digits."""
    read_knobs(path)
    assert torch.backends.cudnn.allow_tf32 == ("select_device" not in path.read_text("utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_model_at_the_sizes_of_a_gpu_takes_a_step(path):
    """A width of 300 with four heads of rotary positions was one that no reader could build."""
    on_cpu = read_knobs(path)
    with pretended_device("cuda") as device:
        knobs = read_knobs(path)
        changed = {name for name in knobs if knobs[name] != on_cpu.get(name)}
        names = names_for(path, knobs)
        models = [eval(expression, names) for expression in calls_with(path, changed)]
        models += eval(entry_for(path, INDIRECT, "[]"), names)
        for model in models:
            take_step(model.to(device), device)
    sizes = sorted(changed & SIZES)
    assert models or not sizes, f"INDIRECT should name models of {path.stem} that have {sizes}"


def test_a_model_that_cannot_take_a_step_is_found():
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("09-1")]
    calls = calls_with(path, {"HEADS"})
    (call,) = [call for call in calls if call.startswith("TransformerEncoder")]
    with pytest.raises(ValueError, match="300"):
        eval(call, names_for(path, {"WIDTH": 300, "HEADS": 7}))
