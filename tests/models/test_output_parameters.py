"""The output matrices that a model declares to optimizers are those behind its logits."""

import pytest
import torch
from torch import nn

from tests.helpers.tiny_models import IDS, LANGUAGE_MODELS, MODELS, SOURCE, V, initial_state, make
from utils.data.vocabulary import UNK
from utils.models.classifiers import Classifier, LanguageModelEncoder
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.features import NUM_MEL_BANDS
from utils.speech.joint_recognizer import JointRecognizer


def output_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters that the parts of a model declare to be of an output."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]
        for module in model.modules()
        for parameter in getattr(module, "output_parameters", list)()
    }


def output_matrices(model: nn.Module, logits: torch.Tensor) -> set[str]:
    """Names of the matrices of which a row belongs to the logit of UNK, which was never read.

    Of an embedding that is not an output matrix too, such a row has no gradient.
    """
    logits[..., UNK].sum().backward()
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and len(parameter) == logits.shape[-1]
        if parameter.grad is not None and parameter.grad[UNK].any()
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_declared_output_parameters_are_the_matrices_behind_the_logits(name):
    model, ids = make(name), IDS.where(IDS != UNK, 4)
    assert not (SOURCE == UNK).any()
    expected = output_matrices(model, model(ids, initial_state(model))[0])
    assert expected and output_parameters(model) == expected


def test_a_recognizers_output_parameters_are_the_matrices_behind_its_logits():
    torch.manual_seed(0)
    features, lengths = torch.randn(2, 12, NUM_MEL_BANDS), torch.tensor([12, 12])
    model = CTCRecognizer(V, width=8, num_layers=1)
    log_probs, _ = model(features, lengths)
    assert output_matrices(model, log_probs) == output_parameters(model) == {"output.weight"}
    joint = JointRecognizer(V, width=8)
    assert output_parameters(joint) == {"encoder.output.weight", "decoder.embedding.weight"}


@pytest.mark.parametrize("name", [name for name in LANGUAGE_MODELS if "nnlm" not in name])
def test_of_a_classifier_the_output_is_its_last_layer_alone(name):
    """A language model inside has lost its output, and with it what it declared."""
    encoder = LanguageModelEncoder(LANGUAGE_MODELS[name](6))
    assert output_parameters(Classifier(encoder, input_size=6)) == {"output.weight"}
