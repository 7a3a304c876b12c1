"""The benchmark of speed: what the tutorials' models compute, and how speeds are counted."""

import pytest
import torch
from torch import nn

from benchmarks.translation.task import TranslationTask
from benchmarks.translation_speed import decoding, training, tutorial_rnns
from benchmarks.translation_speed.decoding import DECODING_CASES
from benchmarks.translation_speed.training import MODEL_PAIRS, padded_batches
from benchmarks.translation_speed.tutorial_rnns import StepwiseAttention, StepwiseLSTM
from benchmarks.translation_speed.tutorial_transformer import (
    PlainAttention,
    PlainTransformer,
    UncachedModel,
)
from tests.helpers.tensors import same
from utils.data.batches import IGNORE_INDEX
from utils.data.pair_batches import PairBatches
from utils.data.vocabulary import PAD
from utils.metrics.cost import count_parameters
from utils.training.objectives import count_tokens

V = 13


@pytest.fixture
def ids():
    return torch.randint(4, V, (3, 6), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def small_steps(monkeypatch):
    """Small training steps, and a choice between two widths."""
    monkeypatch.setattr(training, "BATCH_SIZE", 3)
    monkeypatch.setattr(training, "WIDTHS", (192, 256))


def test_the_tutorials_attention_is_torchs(ids):
    torch.manual_seed(0)
    attention, expected = PlainAttention(8, num_heads=2), nn.MultiheadAttention(8, 2)
    parts = (attention.query_projection, attention.key_projection, attention.value_projection)
    with torch.no_grad():
        expected.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        expected.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    expected.out_proj.load_state_dict(attention.output_projection.state_dict())
    x, memory = torch.randn(5, 3, 8), torch.randn(4, 3, 8)  # (T, B, D), (S, B, D)
    is_padding = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]).bool()  # (B, S)
    output = attention.eval()(x.transpose(0, 1), memory.transpose(0, 1), ~is_padding[:, None, None])
    assert same(output.transpose(0, 1), expected(x, memory, memory, is_padding)[0], tolerance=1e-5)


@pytest.mark.parametrize("build", [StepwiseLSTM, StepwiseAttention, PlainTransformer])
def test_a_tutorials_model_does_not_see_what_it_is_to_predict(build, ids, monkeypatch):
    monkeypatch.setattr(tutorial_rnns, "TEACHER_FORCING", 1.0)
    torch.manual_seed(0)
    model = build(V, width=16).eval()
    logits = model(ids, ids)
    assert logits.shape == (3, 6, V)
    later, other_source = ids.clone(), ids.flip(1)
    later[:, 4:] = 4
    assert torch.allclose(model(ids, later)[:, :4], logits[:, :4], atol=1e-5)
    assert not torch.allclose(model(ids, later)[:, 4:], logits[:, 4:], atol=1e-2)
    assert not torch.allclose(model(other_source, ids), logits, atol=1e-3)


def test_a_recurrent_tutorial_reads_its_own_tokens(ids, monkeypatch):
    """Without the target's tokens only the first of them matters."""
    monkeypatch.setattr(tutorial_rnns, "TEACHER_FORCING", 0.0)
    model = StepwiseLSTM(V, width=16).eval()
    other = ids.clone()
    other[:, 1:] = 5
    assert torch.equal(model(ids, ids), model(ids, other))


def test_a_model_without_a_cache_gives_the_same_logits(ids):
    torch.manual_seed(0)
    model = training.build_deep_transformer(V, width=16).eval()
    uncached = UncachedModel(model)
    expected, _ = model(ids, model.begin(ids))
    state = uncached.begin(ids)
    for start, end in ((0, 1), (1, 4), (4, 6)):
        logits, state = uncached(ids[:, start:end], state)
        assert torch.allclose(logits, expected[:, start:end], atol=1e-5)
    assert torch.equal(state.ids, ids)


def test_padded_batches_hold_any_sentences(monkeypatch):
    monkeypatch.setattr(training, "BATCH_SIZE", 4)
    pairs = [([5] * (1 + i % 7), [6 + i % 3] * (1 + i % 5)) for i in range(40)]
    batches = padded_batches(pairs, 3)
    assert [len(batch.source) for batch in batches] == [4, 4, 4]
    assert all(len({(row != PAD).sum().item() for row in batch.source}) > 1 for batch in batches)
    assert torch.equal(padded_batches(pairs, 3)[2].source, batches[2].source)


def test_the_width_is_that_of_the_nearest_number_of_parameters(monkeypatch):
    monkeypatch.setattr(training, "WIDTHS", range(192, 225, 8))
    build = MODEL_PAIRS["LSTM"].build_book
    count = count_parameters(build(50, width=208)) + 100
    assert training.equal_width(build, 50, count) == 208


def test_training_speeds_are_tokens_by_time(run, small_steps, monkeypatch):
    """By a processor clock on which every group of training steps takes one second."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(training.time, "process_time", lambda: float(next(seconds)))
    part = run("translation_speed", "training", "--rounds", 2)["training"]
    assert part.pop("provenance")["origin"] == "stand-in" and part.keys() == MODEL_PAIRS.keys()
    task = TranslationTask.load()
    stream = PairBatches(task.train, batch_size=3, seed=0)
    book = [sum(count_tokens(stream[3 * i + j]) for j in range(3)) for i in (1, 2)]
    padded = padded_batches(task.train, 6)
    other = [
        sum((b.targets != IGNORE_INDEX).sum().item() for b in padded[i : i + 2]) for i in (2, 4)
    ]
    vocab_size = len(task.tokenizer)
    for name, figures in part.items():
        assert figures["book"] == sum(book) / 2 and figures["other"] == sum(other) / 2
        ratios = [a / b for a, b in zip(book, other, strict=True)]
        assert figures["ratio"] == pytest.approx(sum(ratios) / 2) and figures["rounds"] == 2
        models = (
            MODEL_PAIRS[name].build_book(vocab_size, width=figures["width"]),
            MODEL_PAIRS[name].build_tutorial(vocab_size),
        )
        assert figures["parameters"] == [sum(p.numel() for p in m.parameters()) for m in models]


def test_decoding_speeds_are_stored_for_each_case(run, monkeypatch):
    monkeypatch.setattr(decoding, "DECODED_WIDTH", 32)
    monkeypatch.setattr(decoding, "MAX_LENGTH", 8)
    options = "--rounds 2 --steps 2 --sentences 2".split()
    part = run("translation_speed", "decoding", *options)["decoding"]
    assert part.pop("provenance")["threads"] == 1 and part.keys() == DECODING_CASES.keys()
    for figures in part.values():
        low, high = figures["quartiles"]
        assert 0 < low <= figures["ratio"] <= high and figures["rounds"] == 2
    with pytest.raises(ValueError, match="the 12 of the test set"):
        run("translation_speed", "decoding", "--rounds", 2, "--sentences", 7)


def test_other_translations_one_by_one_would_be_reported(short_corpora, monkeypatch):
    class Case(decoding.DecodingCase):
        def translate(self, model, sources, task):
            return [f"{source} {len(sources) == 1}" for source in sources]

    case = Case(training.build_attention_gru, make_optimizer=None)
    with pytest.raises(AssertionError, match=r"\[0, 1\] were translated differently"):
        decoding.compare_decoding(TranslationTask.load(), None, case, num_rounds=2, num_sentences=1)
