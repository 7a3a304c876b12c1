"""Every model and every state can be pickled: for torch.save, and for other processes."""

import io
import pickle

import pytest
import torch

from tests.helpers.tiny_models import IDS, MODELS, SOURCE, V, initial_state, make, state_types
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNNEncoder
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.transformer import TransformerEncoder


def unpickled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_and_its_state_can_be_pickled(name):
    model = make(name)
    copy = unpickled(model)
    logits, state = model(IDS, initial_state(model))
    copied_logits, copied_state = copy(IDS, initial_state(copy))
    assert torch.equal(copied_logits, logits)
    assert len(list(copy.parameters())) == len(list(model.parameters())), "still tied"
    again = unpickled(state)
    assert state_types(again) == state_types(copied_state)
    step = IDS[:, :1]
    assert torch.equal(copy(step, again)[0], model(step, state)[0])
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(IDS, initial_state(loaded))[0], logits)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Classifier(WordCNNEncoder(V, embedding_size=4, num_filters=2), input_size=6),
        lambda: Classifier(LanguageModelEncoder(MODELS["LM: gpt"](6)), input_size=6),
        lambda: Classifier(TransformerEncoder(V, width=6, num_heads=2), input_size=6),
    ],
)
def test_a_classifier_can_be_pickled(build):
    torch.manual_seed(0)
    model = build().eval()
    assert torch.equal(unpickled(model)(SOURCE), model(SOURCE))


def test_an_n_gram_model_can_be_pickled():
    model = NGramLM.kneser_ney(NGramCounts(IDS, order=3, vocab_size=V))
    copy = unpickled(model)
    assert torch.equal(copy(IDS)[0], model(IDS)[0])
    assert torch.equal(copy.score(IDS[0]), model.score(IDS[0]))
