"""CTC against its definition, sums over all alignments, and against torch's implementation."""

import math

import pytest
import torch
from torch.nn import functional as F

from tests.helpers.ctc_alignments import S, V, log_probs_of_all_texts, make_log_probs
from tests.helpers.tensors import same
from utils.data.batches import IGNORE
from utils.data.vocabulary import PAD
from utils.speech.ctc import (
    backward_variables,
    best_path,
    collapse_path,
    ctc_batch_loss,
    ctc_gradient,
    ctc_loss,
    forward_variables,
)
from utils.speech.ctc_search import prefix_beam_search

TEXTS = [[], [4], [5], [4, 4], [4, 5], [5, 4, 5], [4, 4, 5], [4, 5, 4, 5]]


def test_collapse_first_joins_repeats_then_drops_blanks():
    assert collapse_path([PAD, 4, 4, PAD, 4, 5, 5, PAD]) == [4, 4, 5]
    assert collapse_path([PAD, PAD]) == collapse_path([]) == []


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_the_loss_is_the_sum_over_all_alignments_and_that_of_torch(text):
    log_probs = make_log_probs(0)
    expected = -log_probs_of_all_texts(log_probs)[tuple(text)]
    assert float(ctc_loss(log_probs, text)) == pytest.approx(expected, abs=1e-12)
    targets = torch.tensor([text], dtype=torch.int64)
    lengths, target_lengths = torch.tensor([S]), torch.tensor([len(text)])
    torchs = F.ctc_loss(log_probs[:, None], targets, lengths, target_lengths, PAD, "none")
    assert float(ctc_loss(log_probs, text)) == pytest.approx(float(torchs), abs=1e-12)


def test_all_texts_together_have_probability_one():
    log_probs = make_log_probs(3)
    texts = log_probs_of_all_texts(log_probs)
    total = sum(math.exp(-float(ctc_loss(log_probs, list(text)))) for text in texts)
    assert total == pytest.approx(1)


def test_a_text_that_needs_more_steps_is_impossible():
    text = [4, 4, 4]  # needs two blanks: five steps
    assert float(ctc_loss(make_log_probs(0), text)) == math.inf
    assert math.isfinite(float(ctc_loss(make_log_probs(0, steps=5), text)))
    with pytest.raises(ValueError, match="no alignment of 4 steps gives these 3 tokens"):
        ctc_gradient(make_log_probs(0), text)


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_forward_times_backward_is_the_same_at_every_step(text):
    log_probs = make_log_probs(1)
    total = forward_variables(log_probs, text) + backward_variables(log_probs, text)
    assert same(total.logsumexp(1), -ctc_loss(log_probs, text).expand(S), 1e-12)


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_the_gradient_is_that_of_autograd(text):
    torch.manual_seed(0)
    logits = torch.randn(S, V, dtype=torch.float64, requires_grad=True)
    log_probs = logits.log_softmax(-1)
    targets = torch.tensor([text], dtype=torch.int64)
    total = ctc_batch_loss(log_probs[None], torch.tensor([S]), targets).sum()
    (expected,) = torch.autograd.grad(total, logits)
    gradient = ctc_gradient(log_probs.detach(), text)
    assert same(gradient, expected, 1e-12)
    assert same(gradient.sum(1), torch.zeros(S).double(), 1e-12)


def test_a_token_that_is_impossible_at_a_step_gives_no_nan():
    log_probs = make_log_probs(1)
    log_probs[0, 4] = log_probs[S - 1, 5] = -math.inf
    log_probs = log_probs.log_softmax(-1)
    for text in ([4, 5], [5], [4, 4]):
        total = forward_variables(log_probs, text) + backward_variables(log_probs, text)
        assert same(total.logsumexp(1), -ctc_loss(log_probs, text).expand(S), 1e-12)
        assert ctc_gradient(log_probs, text).isfinite().all()


def test_the_loss_of_a_batch_skips_padding():
    rows, texts = (
        [make_log_probs(0, 7), make_log_probs(1, 5), make_log_probs(2, 4)],
        [[4, 4, 5], [], [5]],
    )
    log_probs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9.0)
    targets = torch.tensor([[4, 4, 5], [IGNORE] * 3, [5, IGNORE, IGNORE]])
    losses = ctc_batch_loss(log_probs, torch.tensor([7, 5, 4]), targets)
    expected = [ctc_loss(row, text) for row, text in zip(rows, texts, strict=True)]
    assert same(losses, torch.stack(expected))


def test_a_row_with_too_few_steps_is_named():
    log_probs = torch.stack([make_log_probs(seed, 7) for seed in range(3)])
    targets = torch.tensor([[4, 5, 4], [4, 4, 5], [5, IGNORE, IGNORE]])
    assert ctc_batch_loss(log_probs, torch.tensor([3, 4, 1]), targets).isfinite().all()
    with pytest.raises(ValueError, match="row 1 has 3 steps for 4 tokens and blanks"):
        ctc_batch_loss(log_probs, torch.tensor([7, 3, 0]), targets)


def test_the_best_path_is_not_always_the_best_text():
    log_probs = torch.full((2, V), -math.inf)
    log_probs[:, PAD], log_probs[:, 4] = math.log(0.6), math.log(0.4)
    assert best_path(log_probs) == []  # 0.36 against 0.16 + 0.24 + 0.24 for the token
    assert [hypothesis.ids for hypothesis in prefix_beam_search([log_probs])[0]] == [[4], []]
