"""Log-probabilities of the tokens of a text, by any model of the contract."""

import math

import pytest
import torch

from tests.helpers.tensors import multiply_weights
from utils.decoding.scoring import token_log_probs
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts

V = 9
TEXT = torch.randint(V, (60,), generator=torch.Generator().manual_seed(0))
MODELS = {
    "window": lambda: NNLM(V, order=3, embedding_size=4, hidden_size=8),
    "recurrent": lambda: RNNLM(V, width=8, num_layers=2, cell="lstm", tied=True),
    "transformer": lambda: GPT(
        V,
        width=8,
        num_layers=1,
        num_heads=2,
        context_length=5,
        zero_init=False,
        ngram_table_sizes=(V * V,),
    ),
}


def make_network(name):
    torch.manual_seed(0)
    return multiply_weights(MODELS[name]().double().eval(), 3)


@pytest.mark.parametrize("chunk_length", [1, 7, 59, 60, 500])
@pytest.mark.parametrize("name", MODELS)
def test_each_token_is_scored_after_all_before_it(name, chunk_length):
    model = make_network(name)
    log_probs = token_log_probs(model, TEXT, chunk_length=chunk_length)
    assert log_probs.shape == (59,)
    assert log_probs.dtype == torch.float64
    assert not log_probs.requires_grad
    with torch.no_grad():
        for t in (1, 2, 8, 30, 59):
            alone = model(TEXT[None, :t])[0][0, -1].log_softmax(-1)[TEXT[t]]
            assert abs(log_probs[t - 1] - alone) < 1e-9
    assert log_probs.std() > 0.1


def test_an_ngram_model_is_scored_like_a_network():
    model = NGramLM.kneser_ney(NGramCounts(TEXT, order=3, vocab_size=V))
    ids = TEXT.flip(0)
    logits, state = model(ids[None, :20])
    rest, _ = model(ids[None, 20:-1], state)
    steps = torch.cat([logits, rest], 1)[0].log_softmax(-1)
    expected = steps.gather(-1, ids[1:, None])[:, 0]
    assert torch.allclose(token_log_probs(model, ids), expected, atol=1e-12)


def test_a_model_that_scores_texts_itself_is_asked_once_for_the_whole_text():
    class Scorer:
        def score(self, ids):
            return ids.double() / 10

    log_probs = token_log_probs(Scorer(), torch.tensor([3, 4, 5]), chunk_length=1)
    assert log_probs.tolist() == [0.4, 0.5]


@pytest.mark.parametrize(
    "model",
    [make_network("window"), NGramLM.kneser_ney(NGramCounts(TEXT, order=2, vocab_size=V))],
    ids=["network", "n-gram"],
)
def test_a_text_of_one_token_is_refused(model):
    with pytest.raises(ValueError, match="two tokens"):
        token_log_probs(model, TEXT[:1])


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("name", ["recurrent", "scorer"])
def test_a_model_in_training_mode_is_scored_without_dropout(name):
    class Scorer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = torch.nn.Dropout(0.5)

        def score(self, ids):
            return self.dropout(-ids.double())

    if name == "scorer":
        model = Scorer()
    else:
        model = RNNLM(V, width=8, num_layers=2, dropout=0.5)
    expected = token_log_probs(model.eval(), TEXT)
    model.train()
    model.dropout.eval()  # a part that is not trained
    assert torch.equal(token_log_probs(model, TEXT), expected)
    assert model.training
    assert not model.dropout.training


def test_a_model_that_returns_nan_is_refused():
    model = make_network("recurrent")
    with torch.no_grad():
        model.embedding.weight[TEXT[10]] = math.nan
    for chunk_length in (3, 100):
        with pytest.raises(ValueError, match=r"NaN as log p of token \d"):
            token_log_probs(model, TEXT, chunk_length=chunk_length)


@pytest.mark.parametrize(
    "ids, options, message",
    [
        (TEXT[None], {}, r"ids of shape \(N,\); got the shape \(1, 60\)"),
        (TEXT / 2, {}, "token ids must be integers; got a tensor of torch.float32"),
        (TEXT > 2, {}, "must be integers; got a tensor of torch.bool"),
        (TEXT.to(torch.complex64), {}, "must be integers; got a tensor of torch.complex64"),
        (TEXT, {"chunk_length": 0}, "chunk_length must be a positive integer"),
        (TEXT, {"chunk_length": -1}, "chunk_length must be a positive integer"),
    ],
)
def test_a_text_of_the_wrong_shape_or_type_is_refused(ids, options, message):
    for model in (make_network("window"), NGramLM.mle(NGramCounts(TEXT, order=1, vocab_size=V))):
        with pytest.raises(ValueError, match=message):
            token_log_probs(model, ids, **options)


@pytest.mark.parametrize("chunk_length", [7, 500])
@pytest.mark.parametrize("position", [0, 20, 59])
@pytest.mark.parametrize("token", [V, -1])
@pytest.mark.parametrize("name", MODELS)
def test_an_id_outside_the_vocabulary_is_refused(name, token, position, chunk_length):
    ids = TEXT.clone()
    ids[position] = token
    with pytest.raises(ValueError, match=rf"ids \[{token}\] lie outside this vocabulary of {V}"):
        token_log_probs(make_network(name), ids, chunk_length=chunk_length)


@pytest.mark.usefixtures("seeded")
def test_a_target_that_the_model_cannot_predict_is_refused():
    model = RNNLM(V, width=4)
    model.output = torch.nn.Linear(4, V - 2)
    ids = TEXT.clamp(max=V - 3)
    assert len(token_log_probs(model, ids)) == 59
    ids[40] = V - 1
    with pytest.raises(ValueError, match=rf"ids \[{V - 1}\] lie outside .* of {V - 2} tokens"):
        token_log_probs(model, ids, chunk_length=7)


def test_a_model_reads_each_chunk_once_and_nothing_else():
    model, lengths = make_network("window"), []
    model.register_forward_pre_hook(lambda _, arguments: lengths.append(arguments[0].shape[1]))
    token_log_probs(model, TEXT, chunk_length=25)
    assert lengths == [25, 25, 9]


def test_a_model_with_complex_logits_is_refused():
    class Complex(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(V))

        def forward(self, ids, state=None):
            return torch.zeros(*ids.shape, V, dtype=torch.complex64), state

    with pytest.raises(ValueError, match=r"logits must be real .* got torch\.complex64"):
        token_log_probs(Complex(), TEXT)


def test_a_text_may_be_a_list_or_an_array():
    model = make_network("window")
    expected = token_log_probs(model, TEXT)
    for ids in (TEXT.tolist(), TEXT.numpy()):
        assert torch.equal(token_log_probs(model, ids), expected)
    for wrong in ([[4, 5]], [4.5, 5.0], "text", 4):
        with pytest.raises(ValueError, match="token ids must be"):
            token_log_probs(model, wrong)
