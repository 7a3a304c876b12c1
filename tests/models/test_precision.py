"""Every model in half precision: close to single precision, causal, and blind to padding.

Double and single precision are compared in test_contract.py.
"""

import pytest
import torch
from torch.nn import functional as F

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
from utils.data.vocabulary import PAD
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNNEncoder
from utils.models.gpt import GPT
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerEncoder

# roundings are about 0.004 and 0.0005 of a number; a model makes some dozens one after another
TOLERANCE = {torch.bfloat16: 0.25, torch.float16: 0.06}
CLASSIFIERS = {
    "CNN": lambda: Classifier(WordCNNEncoder(V, embedding_size=6, num_filters=4), input_size=12),
    "RNN": lambda: Classifier(RNNEncoder(V, width=6), input_size=6),
    "Transformer": lambda: Classifier(TransformerEncoder(V, width=6, num_heads=3), input_size=6),
    "GPT": lambda: Classifier(
        LanguageModelEncoder(GPT(V, width=6, num_layers=2, num_heads=3)), input_size=6
    ),
}
half_precision = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def largest(x: torch.Tensor) -> float:
    return x.abs().max().item()


@half_precision
@pytest.mark.parametrize("name", MODELS)
def test_logits_in_half_precision_are_close(name, dtype):
    model = make(name, torch.float32)
    expected, _ = model(IDS, initial_state(model))
    model = make(name, torch.float32).to(dtype)
    logits, state = model(IDS, initial_state(model))
    assert logits.dtype == dtype
    assert largest(logits.float() - expected) < TOLERANCE[dtype] * largest(expected)
    numbers = [tensor for tensor in state_tensors(state) if tensor.is_floating_point()]
    assert all(tensor.dtype == dtype and tensor.isfinite().all() for tensor in numbers)
    steps, state = [], initial_state(model)
    for ids in IDS.split(1, 1):
        step, state = model(ids, state)
        steps.append(step)
    difference = largest(torch.cat(steps, 1).float() - expected)
    assert difference < TOLERANCE[dtype] * largest(expected)


@half_precision
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_in_half_precision_is_close(name, dtype):
    torch.manual_seed(0)
    model = CLASSIFIERS[name]().eval()
    expected = model(SOURCE)
    logits = model.to(dtype)(SOURCE)
    assert logits.dtype == dtype
    assert largest(logits.float() - expected) < TOLERANCE[dtype] * max(1, largest(expected))


@half_precision
@pytest.mark.parametrize("name", MODELS)
def test_a_later_token_does_not_change_earlier_logits_in_half_precision(name, dtype):
    model = make(name, torch.float32).to(dtype)
    before = model(IDS, initial_state(model))[0]
    changed = IDS.clone()
    changed[:, 3:] = torch.tensor([[5, 3], [10, 6], [7, 7], [9, 10]])
    after = model(changed, initial_state(model))[0]
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.equal(before, after)


@half_precision
@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_padding_of_a_source_changes_nothing_in_half_precision(name, dtype):
    model = make(name, torch.float32).to(dtype)
    expected = model(IDS, model.begin(SOURCE))[0]
    assert expected.isfinite().all()
    longer = model(IDS, model.begin(F.pad(SOURCE, (0, 3), value=PAD)))[0]
    assert largest((longer - expected).float()) < TOLERANCE[dtype] * largest(expected)


@half_precision
@pytest.mark.parametrize("name", MODELS)
def test_large_weights_in_half_precision_give_no_nan(name, dtype):
    """Saturated gates and sharp attention, with logits of some hundreds."""
    model = make(name, torch.float32).to(dtype)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.mul_(4 if "norm" not in key else 1)
    logits, state = model(IDS, initial_state(model))
    assert not logits.isnan().any()
    assert not any(tensor.isnan().any() for tensor in state_tensors(state))
