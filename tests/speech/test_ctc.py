"""CTC against its definition, sums over all alignments, and against torch's implementation."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.helpers.ctc_alignments import S, V, log_probs_of_all_texts, make_log_probs
from tests.helpers.tensors import same
from tests.helpers.tones import TONE_VOCAB_SIZE, make_tone
from utils.data.batches import IGNORE_INDEX
from utils.data.vocabulary import BOS, EOS, PAD
from utils.speech.ctc import (
    backward_variables,
    best_path,
    collapse_path,
    ctc_batch_loss,
    ctc_gradient,
    ctc_loss,
    forward_variables,
    insert_blanks,
)
from utils.speech.ctc_beam_search import prefix_beam_search
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.features import log_mel

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
    assert forward_variables(make_log_probs(0), text)[-1, -2:].isneginf().all()
    assert math.isfinite(float(ctc_loss(make_log_probs(0, steps=5), text)))
    for function in (ctc_loss, ctc_gradient):
        with pytest.raises(ValueError, match="no alignment of 4 steps gives these 3 tokens"):
            function(make_log_probs(0), text)


def test_a_text_of_probability_zero_has_an_infinite_loss_and_no_gradient():
    log_probs = make_log_probs(0)
    log_probs[:, 5] = -math.inf
    assert float(ctc_loss(log_probs, [5])) == math.inf
    targets = torch.tensor([[5]])
    assert ctc_batch_loss(log_probs[None], torch.tensor([S]), targets).tolist() == [math.inf]
    with pytest.raises(ValueError, match="each alignment of the text has a step of probability 0"):
        ctc_gradient(log_probs, [5])


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
    targets = torch.tensor([[4, 4, 5], [IGNORE_INDEX] * 3, [5, IGNORE_INDEX, IGNORE_INDEX]])
    losses = ctc_batch_loss(log_probs, torch.tensor([7, 5, 4]), targets)
    expected = [ctc_loss(row, text) for row, text in zip(rows, texts, strict=True)]
    assert same(losses, torch.stack(expected))


def test_a_row_with_too_few_steps_is_named():
    log_probs = torch.stack([make_log_probs(seed, 7) for seed in range(3)])
    targets = torch.tensor([[4, 5, 4], [4, 4, 5], [5, IGNORE_INDEX, IGNORE_INDEX]])
    assert ctc_batch_loss(log_probs, torch.tensor([3, 4, 1]), targets).isfinite().all()
    with pytest.raises(ValueError, match="row 1 has 3 steps for 4 tokens and blanks"):
        ctc_batch_loss(log_probs, torch.tensor([7, 3, 0]), targets)


# ---- a network's output, with a known loss -------------------------------------------------------


def network_log_probs():
    """Log-probabilities (5, 7) that a network gives for two tones; no weight of it is random."""
    network = CTCRecognizer(TONE_VOCAB_SIZE, width=4, num_layers=1, strides=(2, 2, 2))
    network = network.double().eval()
    for i, weights in enumerate(network.parameters()):
        indices = torch.arange(weights.numel(), dtype=torch.float64)
        weights.data.copy_(torch.sin(0.7 * (i + 1) * indices + i).view_as(weights))
    features = log_mel(np.concatenate([make_tone(300, 1600), make_tone(900, 1536)]))
    log_probs, _ = network(features[None], torch.tensor([len(features)]))
    return log_probs[0].detach()


@pytest.mark.parametrize(
    "text, golden", [([4, 4, 5], 27.1573113204), ([6, 4], 5.3583032827), ([], 68.3040647184)]
)
def test_the_loss_of_a_networks_output_is_known(text, golden):
    """The numbers were computed by torch's `ctc_loss` in double precision."""
    log_probs = network_log_probs()
    steps, vocab_size = log_probs.shape
    paths = itertools.product(range(vocab_size), repeat=steps)
    likelihood = sum(
        math.exp(sum(log_probs[range(steps), path].tolist()))
        for path in paths
        if collapse_path(path) == text
    )
    assert -math.log(likelihood) == pytest.approx(golden, abs=1e-8)
    assert float(ctc_loss(log_probs, text)) == pytest.approx(golden, abs=1e-8)
    targets = torch.tensor([text], dtype=torch.int64)
    loss = ctc_batch_loss(log_probs[None], torch.tensor([steps]), targets)
    assert loss.tolist() == pytest.approx([golden], abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_loss_of_half_precision_is_computed_in_float32(dtype):
    log_probs = torch.stack([make_log_probs(0), make_log_probs(1)]).to(dtype).requires_grad_()
    lengths, targets = torch.tensor([S, S]), torch.tensor([[4, 5], [4, IGNORE_INDEX]])
    losses = ctc_batch_loss(log_probs, lengths, targets)
    assert losses.dtype == torch.float32
    assert torch.equal(losses, ctc_batch_loss(log_probs.float(), lengths, targets))
    losses.sum().backward()
    assert log_probs.grad.dtype == dtype


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, message",
    [
        ([4, V], "has 6 at position 1; the recognizer has the ids 0 to 5: encode"),
        ([10**6], "has 1000000 at position 0"),
        ([4, -1, 5], "has -1 at position 1"),
        ([4, PAD, 5], "has id 0, the blank, at position 1; leave it out"),
        ([BOS, 4], "has id 1, BOS, at position 0"),
        ([4, EOS], "has id 2, EOS, at position 1"),
    ],
    ids=str,
)
def test_an_id_that_is_not_a_spoken_token_is_refused_by_all_losses(text, message):
    """Beyond the vocabulary, torch's own loss reads foreign memory; others give a wrong number."""
    log_probs = make_log_probs(0)
    for function in (ctc_loss, ctc_gradient, forward_variables, backward_variables):
        with pytest.raises(ValueError, match=f"^the text {message}"):
            function(log_probs, text)
    targets = torch.tensor([[4, 5, IGNORE_INDEX], [*text, *[IGNORE_INDEX] * (3 - len(text))]])
    with pytest.raises(ValueError, match=f"^row 1 of targets {message}"):
        ctc_batch_loss(log_probs.repeat(2, 1, 1), torch.tensor([S, S]), targets)


def test_ids_that_are_not_integers_are_refused():
    with pytest.raises(ValueError, match=r"the ids of the text must be integers; got 4\.5"):
        ctc_loss(make_log_probs(0), [4, 4.5])
    with pytest.raises(ValueError, match=r"targets must be integers; got a .* torch\.float32"):
        ctc_batch_loss(make_log_probs(0)[None], torch.tensor([S]), torch.tensor([[4.0]]))


def test_padding_before_a_token_is_refused():
    targets = torch.tensor([[4, 5], [IGNORE_INDEX, 5]])
    with pytest.raises(
        ValueError, match="row 1 of targets has IGNORE_INDEX before a token; pad at the"
    ):
        ctc_batch_loss(make_log_probs(0).repeat(2, 1, 1), torch.tensor([S, S]), targets)
    with pytest.raises(ValueError, match="the text has -100 at position 0"):
        ctc_loss(make_log_probs(0), [IGNORE_INDEX, 5])


@pytest.mark.parametrize("length", [S + 1, 0, -2])
def test_a_length_beyond_the_steps_is_refused(length):
    targets = torch.tensor([[4], [IGNORE_INDEX]])
    message = f"row 1 has a length of {length}; lengths must be from 1 to {S}"
    with pytest.raises(ValueError, match=message):
        ctc_batch_loss(make_log_probs(0).repeat(2, 1, 1), torch.tensor([S, length]), targets)


@pytest.mark.parametrize(
    "lengths, targets, message",
    [
        ([S], [[4], [5]], r"lengths must be \(2,\) and targets \(2, L\)"),
        ([S, S], [[4]], r"got \(2,\) and \(1, 1\)"),
        ([S, S], [4, 5], r"got \(2,\) and \(2,\)"),
        ([4.0, 4.0], [[4], [5]], "lengths must be integers; got a tensor of torch.float32"),
    ],
    ids=["lengths", "targets", "flat targets", "float lengths"],
)
def test_parts_of_a_batch_that_do_not_fit_are_refused(lengths, targets, message):
    log_probs = make_log_probs(0).repeat(2, 1, 1)
    with pytest.raises(ValueError, match=message):
        ctc_batch_loss(log_probs, torch.tensor(lengths), torch.tensor(targets))


def test_a_batch_without_rows_is_refused():
    empty = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"shape \(B, S, V\), with no size of 0"):
        ctc_batch_loss(torch.zeros(0, S, V), empty, empty.view(0, 1))
    with pytest.raises(ValueError, match=r"shape \(S, V\), with no size of 0"):
        ctc_loss(torch.zeros(0, V), [])


@pytest.mark.parametrize(
    "number, message",
    [(math.nan, "NaN at step 2: check the clip"), (2.5, "2.5 at step 2; a log-prob")],
)
def test_numbers_that_are_not_log_probabilities_are_refused(number, message):
    """NaN, and logits, which give a number that looks like a loss."""
    log_probs = make_log_probs(0)
    log_probs[2, 5] = number
    for function in (ctc_loss, ctc_gradient, forward_variables, backward_variables):
        with pytest.raises(ValueError, match=f"log_probs has {message}"):
            function(log_probs, [4])
    for search in (best_path, lambda clip: prefix_beam_search([clip])):
        with pytest.raises(ValueError, match=message):
            search(log_probs)
    batch, targets = torch.stack([make_log_probs(1), log_probs]), torch.tensor([[4], [4]])
    with pytest.raises(ValueError, match=f"row 1 has {message}"):
        ctc_batch_loss(batch, torch.tensor([S, S]), targets)
    assert ctc_batch_loss(batch, torch.tensor([S, 2]), targets).isfinite().all(), "in the padding"


def test_the_best_path_is_not_always_the_best_text():
    log_probs = torch.full((2, V), -math.inf)
    log_probs[:, PAD], log_probs[:, 4] = math.log(0.6), math.log(0.4)
    assert best_path(log_probs) == []  # 0.36 against 0.16 + 0.24 + 0.24 for the token
    assert [hypothesis.ids for hypothesis in prefix_beam_search([log_probs])[0]] == [[4], []]


def test_log_probabilities_that_are_not_a_tensor_are_refused():
    log_probs = make_log_probs(0)
    with pytest.raises(ValueError, match=r"log_probs must be a tensor \(S, V\), got ndarray"):
        ctc_loss(log_probs.detach().numpy(), [4])


def test_paths_and_texts_may_be_tensors_and_become_lists_of_integers():
    path, text = torch.tensor([4, 4, 0, 5]), torch.tensor([4, 5])
    for result, expected in ((collapse_path(path), [4, 5]), (insert_blanks(text), [0, 4, 0, 5, 0])):
        assert result == expected
        assert {type(label) for label in result} == {int}
    for function in (collapse_path, insert_blanks):
        with pytest.raises(ValueError, match="must be a sequence of integers; got 'abc'"):
            function("abc")
