"""Evaluation: total loss over total tokens, of pairs in any batches, of a text in its windows."""

import pytest
import torch
from torch import nn

from tests.helpers.small_runs import PAIRS, SIZES, TEXT, V, make_model, make_stream
from utils import runtime
from utils.data.batches import IGNORE_INDEX, Batch, TextBatches, text_eval_batches
from utils.data.pair_batches import pair_eval_batches
from utils.models.encoder_decoder import lstm_seq2seq
from utils.speech.audio_batches import AudioBatches
from utils.training.evaluation import evaluate
from utils.training.objectives import token_objective


class Uniform(nn.Module):
    """A model for which all tokens are equally likely."""

    def forward(self, ids, state=None):
        return torch.zeros(*ids.shape, V), state


def test_the_perplexity_of_a_uniform_model_is_the_size_of_the_vocabulary():
    evaluation = evaluate(Uniform(), [make_stream()[0]])
    assert evaluation.perplexity == pytest.approx(V) and evaluation.num_tokens == 40


def test_evaluation_of_pairs_does_not_depend_on_batching_or_padding():
    runtime.seed_everything(0)
    model = lstm_seq2seq(V, width=8, num_layers=1, dropout=0.5).double().train()
    assert len({len(target) for _, target in PAIRS}) > 1, "some targets are padded"
    together, alone = (
        evaluate(model, pair_eval_batches(PAIRS, batch_size=size)) for size in (24, 1)
    )
    assert together.num_tokens == alone.num_tokens == sum(len(target) + 1 for _, target in PAIRS)
    assert together.nll == pytest.approx(alone.nll, rel=1e-12)
    assert model.training, "evaluation leaves the mode as it was"


def test_a_window_of_a_text_is_read_without_the_tokens_before_it():
    """The loss depends on where the text is cut: it is that of each window as a text of its own."""
    model = make_model().double()
    batches = text_eval_batches(TEXT, batch_size=2, context_length=5)
    losses = [evaluate(model, [batch]).nll for batch in reversed(batches)]
    assert evaluate(model, batches).nll == pytest.approx(sum(losses), rel=1e-12)
    whole = text_eval_batches(TEXT, batch_size=1, context_length=len(TEXT))
    first, second = evaluate(model, batches), evaluate(model, whole)
    assert first.num_tokens == second.num_tokens == len(TEXT) - 1
    assert abs(first.loss - second.loss) > 1e-4


def test_evaluation_smooths_no_labels():
    model, batches = make_model().train(), [make_stream()[0]] * 2
    smoothed = token_objective(label_smoothing=0.5)
    assert smoothed(model, batches[0]) > evaluate(model, batches[:1]).nll
    assert evaluate(model, batches, objective=smoothed) == evaluate(model, batches)


def test_evaluation_without_a_token_to_predict_is_an_error():
    empty = Batch(torch.tensor([[1]]), torch.tensor([[IGNORE_INDEX]]))
    for batches in ([], [empty]):
        with pytest.raises(ValueError, match="no token"):
            evaluate(Uniform(), batches)


@pytest.mark.parametrize(
    "stream",
    [TextBatches(TEXT, **SIZES), AudioBatches(lambda rng, step: ([], []))],
    ids=lambda stream: type(stream).__name__,
)
def test_a_stream_of_training_batches_has_no_end_and_is_refused(stream):
    with pytest.raises(ValueError, match=f"{type(stream).__name__} is an endless stream"):
        evaluate(Uniform(), stream)


def test_a_stream_of_another_program_is_refused_too():
    """Python would iterate over an object with `__getitem__`, here without an end."""

    class Stream:
        def __getitem__(self, step):
            if step > 100:
                raise AssertionError("the stream is read on and on")
            return make_stream()[step]

    with pytest.raises(ValueError, match="Stream is an endless stream"):
        evaluate(Uniform(), Stream())


def test_an_evaluation_that_is_interrupted_leaves_the_mode_as_it_was():
    def interrupted(model, batch):
        assert not model.training
        raise KeyboardInterrupt

    model = make_model().train()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, [make_stream()[0]], objective=interrupted)
    assert model.training
