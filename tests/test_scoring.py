"""Log-probabilities of a text by any model of the contract, and mixtures of two models."""

import math

import pytest
import torch

from utils.decoding.fusion import best_mixture_weight, mix_log_probs
from utils.decoding.scoring import token_log_probs
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM, NNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts

V = 9
TEXT = torch.randint(V, (60,), generator=torch.Generator().manual_seed(0))
MODELS = {
    "window": lambda: NNLM(V, order=3, embedding_size=4, hidden_size=8),
    "recurrent": lambda: LSTMLM(V, width=8, layers=2),
    "transformer": lambda: GPT(
        V, width=8, layers=1, heads=2, context_length=5, zero_init=False, ngram_tables=(V * V,)
    ),
}


def network(name: str):
    torch.manual_seed(0)
    model = MODELS[name]().double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    return model


@pytest.mark.parametrize("block", [1, 7, 59, 60, 500])
@pytest.mark.parametrize("name", MODELS)
def test_each_token_is_scored_after_all_before_it(name, block):
    model = network(name)
    found = token_log_probs(model, TEXT, chunk_length=block)
    assert found.shape == (59,) and found.dtype == torch.float64 and not found.requires_grad
    with torch.no_grad():
        for t in (1, 2, 8, 30, 59):
            alone = model(TEXT[None, :t])[0][0, -1].log_softmax(-1)[TEXT[t]]
            assert abs(found[t - 1] - alone) < 1e-9
    assert found.std() > 0.1


def test_counts_are_scored_as_the_contract_says():
    model = NGramLM.kneser_ney(NGramCounts(TEXT, order=3, vocab_size=V))
    text = TEXT.flip(0)
    logits, state = model(text[None, :20])
    rest, _ = model(text[None, 20:-1], state)
    steps = torch.cat([logits, rest], 1)[0].log_softmax(-1)
    wanted = steps.gather(-1, text[1:, None])[:, 0]
    assert torch.allclose(token_log_probs(model, text), wanted, atol=1e-12)


def test_a_mixture_is_the_weighted_mean_of_probabilities():
    a, b = torch.tensor([0.5, 0.001, 1e-300]).double(), torch.tensor([0.1, 0.9, 1e-200]).double()
    for weight in (0.01, 0.3, 0.99):
        found = mix_log_probs(a.log(), b.log(), weight)
        assert torch.allclose(found.exp(), weight * a + (1 - weight) * b, rtol=1e-12, atol=0)
    small = mix_log_probs(torch.tensor([-2000.0]), torch.tensor([-3000.0]), 0.5)
    assert abs(small.item() + 2000 + math.log(2)) < 1e-3, "far below what exp can hold"


def test_the_best_weight_is_the_one_of_the_highest_mean():
    """Two tokens: one that a knows and one that b knows, so often that 0.75 is best."""
    knows, not_ = math.log(0.8), -50.0
    a, b = torch.tensor([knows] * 3 + [not_]), torch.tensor([not_] * 3 + [knows])
    assert best_mixture_weight(a, b) == 0.75
    assert best_mixture_weight(b, a) == 0.25
    assert best_mixture_weight(a, b, weights=[0.1, 0.5, 0.9]) == 0.9
    assert best_mixture_weight(a, a - 1) == 0.99


def test_mistakes_are_named():
    for weight in (0, 1, 1.5, -0.1):
        with pytest.raises(ValueError, match="weight must be above 0 and below 1"):
            mix_log_probs(torch.zeros(1), torch.zeros(1), weight)
    for model in (network("window"), NGramLM.kneser_ney(NGramCounts(TEXT, order=2, vocab_size=V))):
        with pytest.raises(ValueError, match="two tokens"):
            token_log_probs(model, TEXT[:1])
