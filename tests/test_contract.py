"""The contract of all models: model(ids, state) -> (logits, state), and model.begin(source).

Most tests run on every model of tiny_models.py. What a model computes is tested in the file of its
module; here the subject is that it can be called, trained and scored as any other. The types of
the contract are in contract_types.py, which mypy checks.
"""

import pytest
import torch
from torch.nn import functional as F

from tests.helpers.tensors import same
from tests.helpers.tiny_models import (
    ENCODER_DECODERS,
    IDS,
    LANGUAGE_MODELS,
    MODELS,
    SOURCE,
    V,
    initial_state,
    make,
    state_tensors,
)
from utils.contract import TextScorer
from utils.data.batches import IGNORE_INDEX, Batch
from utils.data.vocabulary import BOS, PAD
from utils.decoding.scoring import token_log_probs
from utils.models.attention_decoder import AttentionDecoder
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import token_nll

PRECISION = {torch.float32: 4e-6, torch.float64: 1e-12}


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", MODELS)
def test_one_long_call_is_many_short_ones_that_hand_the_state_on(name, dtype):
    model = make(name, dtype)
    expected, last_state = model(IDS, initial_state(model))
    assert expected.shape == (*IDS.shape, V) and expected.dtype == dtype
    assert expected.std() > 0.01
    tolerance = PRECISION[dtype] * max(1.0, expected.abs().max().item())
    for lengths in ([1] * 5, [2, 3], [3, 1, 1]):
        state, parts = initial_state(model), []
        for ids in IDS.split(lengths, 1):
            logits, state = model(ids, state)
            parts.append(logits)
        assert same(torch.cat(parts, 1), expected, tolerance)
        pairs = zip(state_tensors(state), state_tensors(last_state), strict=True)
        assert all(same(a, b, tolerance) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_later_token_changes_its_own_logits_but_no_earlier_ones(name):
    model = make(name)
    before = model(IDS, initial_state(model))[0]
    for t in range(IDS.shape[1]):
        changed = IDS.clone()
        changed[:, t] = 3 + (IDS[:, t] - 2) % (V - 3)
        after = model(changed, initial_state(model))[0]
        assert torch.equal(before[:, :t], after[:, :t])
        assert (before[:, t] - after[:, t]).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_its_rows_one_at_a_time(name):
    model = make(name)
    logits, state = model(IDS, initial_state(model))
    for i in range(len(IDS)):
        row_logits, row_state = model(IDS[i : i + 1], initial_state(model, slice(i, i + 1)))
        assert same(row_logits[0], logits[i])
        pairs = zip(state_tensors(row_state), state_tensors(state), strict=True)
        assert all(same(a[0], b[i]) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_call_does_not_change_its_arguments(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    copies = [tensor.clone() for tensor in state_tensors(state)]
    model(IDS[:, :1], state)
    assert all(torch.equal(a, b) for a, b in zip(state_tensors(state), copies, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = make(name)
    for parameter in model.parameters():  # zeros at the start would stop gradients
        parameter.data += 0.1 * torch.randn_like(parameter)
    logits, _ = model(IDS, initial_state(model))
    F.cross_entropy(logits.flatten(0, 1), IDS.roll(-1, 1).flatten()).backward()
    for key, parameter in model.named_parameters():
        if name == "fixed → transformer" and (
            "attention.query" in key or "cross_attention_norm" in key
        ):
            continue  # the weight of an only state is 1 whatever the query
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_can_be_learned_by_heart(name):
    torch.manual_seed(0)
    model = MODELS[name](24)
    source = SOURCE if isinstance(model, EncoderDecoder) else None
    inputs = torch.cat([torch.full((4, 1), 1), IDS[:, 1:]], 1)
    targets = torch.cat([IDS[:, 1:], torch.full((4, 1), 2)], 1)
    batch = Batch(inputs, targets, source)
    fit(model, [batch] * 200, TrainConfig(steps=200, learning_rate=1e-2), progress=False)
    context_length = 1 if name in ("LM: nnlm, one word", "LM: gpt, window of one") else 5
    assert evaluate(model, [batch]).loss < lowest_loss(batch, context_length) + 0.05


def lowest_loss(batch: Batch, context_length: int) -> float:
    """The mean of −log of the relative frequency of each target after its source and context."""
    if batch.source is not None:
        return 0.0  # each row has a source of its own
    counts: dict[tuple[int, ...], dict[int, int]] = {}
    for row, row_targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        for t, target in enumerate(row_targets):
            followers = counts.setdefault(tuple(row[: t + 1][-context_length:]), {})
            followers[target] = followers.get(target, 0) + 1
    losses = [
        -n * torch.tensor(n / sum(followers.values())).log()
        for followers in counts.values()
        for n in followers.values()
    ]
    return float(sum(losses)) / batch.targets.numel()


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_the_source_matters(name):
    model = make(name)
    other = SOURCE.clone()
    other[:, 0] = 3
    difference = model(IDS, model.begin(SOURCE))[0] - model(IDS, model.begin(other))[0]
    assert difference.abs().amax((1, 2)).min() > 1e-6


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_further_padding_of_a_source_changes_nothing(name):
    model = make(name)
    expected = model(IDS, model.begin(SOURCE))[0]
    longer = model(IDS, model.begin(F.pad(SOURCE, (0, 3), value=PAD)))[0]
    assert same(longer, expected)
    for i, row in enumerate(SOURCE):
        logits = model(IDS[[i]], model.begin(row[row != PAD][None]))[0]
        assert same(logits[0], expected[i])


@pytest.mark.parametrize("name", MODELS)
def test_padding_of_targets_changes_neither_loss_nor_gradients(name):
    def loss_and_gradients(extra: int) -> list[torch.Tensor | None]:
        model = make(name)
        inputs, targets = (F.pad(IDS, (0, extra), value=value) for value in (PAD, IGNORE_INDEX))
        source = SOURCE if isinstance(model, EncoderDecoder) else None
        loss = token_nll(model, Batch(inputs, targets, source))
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in model.parameters())]

    pairs = zip(loss_and_gradients(0), loss_and_gradients(3), strict=True)
    assert all(same(a, b, 1e-10) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_state_after_padding_is_not_the_state_of_the_row(name):
    """Padding is read like a token: its logits are dropped, but the state holds it."""
    if name in ("LM: nnlm, one word", "LM: gpt, window of one"):
        pytest.skip("no state: the next token depends on the last one alone")
    model = make(name)
    ids, token = IDS[:, :2], IDS[:, 2:3]
    logits, state = model(ids, initial_state(model))
    padded_logits, padded_state = model(F.pad(ids, (0, 2), value=PAD), initial_state(model))
    assert same(padded_logits[:, :2], logits)
    difference = model(token, padded_state)[0] - model(token, state)[0]
    assert difference.abs().amax((1, 2)).min() > 1e-6


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_an_encoder_decoder_without_a_state_is_refused(name):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'state'"):
        make(name)(IDS)


class CountingScorer:
    """A text scorer that counts how often it is asked, and refuses to compute logits."""

    calls = 0

    def score(self, ids: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return -ids.double()

    def __call__(self, ids, state=None):
        raise AssertionError("a text scorer was asked for all its logits")


def test_a_text_scorer_scores_a_text_itself():
    model, ids = CountingScorer(), torch.arange(4, 9)
    assert isinstance(model, TextScorer)
    assert torch.equal(token_log_probs(model, ids, chunk_length=2), -ids[1:].double())
    assert model.calls == 1


def test_an_n_gram_model_is_a_text_scorer_that_agrees_with_its_logits():
    model = NGramLM.kneser_ney(NGramCounts(IDS, order=3, vocab_size=V))
    assert isinstance(model, TextScorer)
    logits, _ = model(IDS[:1])
    expected = logits[0, :-1].log_softmax(-1).gather(1, IDS[0, 1:, None])[:, 0]
    # the first token is given: its log p is no part of the result
    state = torch.tensor([[BOS, BOS]])
    assert same(token_log_probs(model, IDS[0]), model.score(IDS[0], state)[1:])
    assert same(token_log_probs(model, IDS[0]), expected)


def test_a_decoder_with_an_attention_score_is_no_text_scorer():
    assert not isinstance(AttentionDecoder(V, width=4), TextScorer)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_neural_language_model_is_scored_by_its_logits(name):
    model = make(f"LM: {name}")
    assert not isinstance(model, TextScorer)
    with torch.no_grad():
        expected = model(IDS[:1, :-1])[0][0].log_softmax(-1).gather(1, IDS[0, 1:, None])[:, 0]
    assert same(token_log_probs(model, IDS[0], chunk_length=2), expected)
