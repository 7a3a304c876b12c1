"""Ids outside the vocabulary of the model that is to read them."""

import pytest
import torch

from tests.helpers.decoding_models import FixedLogits
from utils.decoding.input_ids import check_ids_of_model
from utils.models.classifiers import Classifier, LanguageModelEncoder
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.language_models import RNNLM
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import RNNEncoder

V, SOURCE_V = 6, 9
MODELS = {
    "language model": (lambda: RNNLM(V, width=4), V),
    "encoder": (lambda: RNNEncoder(SOURCE_V, width=4), SOURCE_V),
    "fixed vector": (lambda: FixedVectorEncoder(RNNEncoder(SOURCE_V, width=4)), SOURCE_V),
    "encoder of hidden states": (lambda: LanguageModelEncoder(RNNLM(V, width=4)), V),
    "classifier": (lambda: Classifier(RNNEncoder(SOURCE_V, width=4), input_size=4), SOURCE_V),
    "encoder–decoder": (
        lambda: EncoderDecoder(RNNEncoder(SOURCE_V, width=4), RNNDecoder(V, width=4)),
        V,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_ids_are_those_of_the_embedding_that_reads_them(name):
    make, vocab_size = MODELS[name]
    model, last = make(), vocab_size - 1
    for ids in ([0, last], torch.tensor([[0], [last]]), iter([last])):
        check_ids_of_model(model, ids)
    for wrong in (vocab_size, -1):
        message = rf"ids \[{wrong}\] lie outside this vocabulary of {vocab_size} tokens"
        for ids in ([0, wrong], torch.tensor([[0], [wrong]]), iter([wrong])):
            with pytest.raises(ValueError, match=message):
                check_ids_of_model(model, ids)


@pytest.mark.parametrize("model", [FixedLogits([0.0] * V), None], ids=["module", "none"])
def test_ids_of_an_unknown_vocabulary_count_from_0(model):
    check_ids_of_model(model, [0, V, 10**6])
    with pytest.raises(ValueError, match="token ids count from 0; got -2"):
        check_ids_of_model(model, torch.tensor([[4, -1], [-2, 5]]))
