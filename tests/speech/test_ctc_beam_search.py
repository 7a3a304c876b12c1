"""Prefix beam search, with and without a language model, against a search of all texts."""

import math
import re
from collections import defaultdict

import pytest
import torch

from tests.helpers.ctc_alignments import V, log_probs_of_all_texts, make_log_probs
from tests.helpers.tensors import same
from utils.data.vocabulary import BOS, EOS, PAD, UNK
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.speech.ctc_beam_search import CTCBeamConfig, prefix_beam_search
from utils.speech.shallow_fusion import ShallowFusion

WEIGHTED = CTCBeamConfig(3, lm_weight=1.0)


def make_ngram_model():
    texts = [[4, 5, EOS], [4, 4, EOS], [5, 5, 4, EOS], [EOS]]
    return NGramLM.kneser_ney(NGramCounts(texts, order=3, vocab_size=V))


def make_lstm():
    torch.manual_seed(1)
    return RNNLM(V, width=8, cell="lstm").double().eval()


def ids_of(results):
    return [[hypothesis.ids for hypothesis in row] for row in results]


@torch.no_grad()
@pytest.mark.parametrize(
    "make_model, lm_weight, token_bonus",
    [
        (make_ngram_model, 0.0, 0.0),
        (make_ngram_model, 0.0, -0.5),
        (make_ngram_model, 0.7, 0.0),
        (make_lstm, 1.3, 0.8),
    ],
)
def test_a_wide_beam_is_exhaustive_search(make_model, lm_weight, token_bonus):
    model, clips = make_model(), [make_log_probs(seed, 5 - seed) for seed in range(3)]
    beam = CTCBeamConfig(200, lm_weight=lm_weight, token_bonus=token_bonus)
    results = prefix_beam_search(clips, beam, language_model=model)
    for log_probs, row in zip(clips, results, strict=True):
        expected = []
        for text, ctc_log_prob in log_probs_of_all_texts(log_probs).items():
            lm_log_prob = 0.0
            if lm_weight:
                logits, _ = model(torch.tensor([[BOS, *text]]))
                steps = logits[0].double().log_softmax(-1)
                lm_log_prob = float(steps.gather(1, torch.tensor([*text, EOS])[:, None]).sum())
            score = ctc_log_prob + lm_weight * lm_log_prob + token_bonus * len(text)
            expected.append((score, ctc_log_prob, lm_log_prob, list(text)))
        expected.sort(reverse=True)
        assert [hypothesis.ids for hypothesis in row] == [text for *_, text in expected]
        numbers = [(h.score, h.ctc_log_prob, h.lm_log_prob) for h in row]
        assert same(
            torch.tensor(numbers, dtype=torch.float64),
            torch.tensor([x[:3] for x in expected], dtype=torch.float64),
            1e-9,
        )


def plain_prefix_search(log_probs, beam_size, model, lm_weight, token_bonus):
    """Prefix beam search as its docstring defines it: a dictionary of prefixes, one at a time.

    A prefix has two probabilities: of alignments that end in a blank, and in its last token.
    """

    def language_log_prob(text):
        logits, _ = model(torch.tensor([[BOS, *text[:-1]]]))
        log_probs = logits[0].double().log_softmax(-1)
        return sum(log_probs[i, token].item() for i, token in enumerate(text))

    def score(prefix):
        text, (blank, token) = prefix
        language = lm_weight * language_log_prob(text) if text else 0.0
        return math.log(blank + token) + language + token_bonus * len(text)

    beam = {(): (1.0, 0.0)}
    for p in log_probs.exp().tolist():
        successors = defaultdict(lambda: [0.0, 0.0])
        for text, (blank, token) in beam.items():
            successors[text][0] += (blank + token) * p[PAD]
            if text:
                successors[text][1] += token * p[text[-1]]
            for new in (4, 5):
                repeats = bool(text) and new == text[-1]
                successors[(*text, new)][1] += (blank if repeats else blank + token) * p[new]
        possible = [(text, parts) for text, parts in successors.items() if sum(parts) > 0]
        beam = dict(sorted(possible, key=score, reverse=True)[:beam_size])
    final = []
    for text, (blank, token) in beam.items():
        language = language_log_prob((*text, EOS))
        total = math.log(blank + token) + lm_weight * language + token_bonus * len(text)
        final.append((total, list(text)))
    return sorted(final, reverse=True)


@torch.no_grad()
@pytest.mark.parametrize("lm_weight, token_bonus", [(0.9, 0.0), (0.9, 1.2), (2.0, -0.5)])
@pytest.mark.parametrize("beam_size", [1, 2, 3])
def test_a_narrow_beam_is_that_of_the_plain_version(beam_size, lm_weight, token_bonus):
    model, clips = make_ngram_model(), [make_log_probs(seed, 6) for seed in range(6)]
    beam = CTCBeamConfig(beam_size, lm_weight=lm_weight, token_bonus=token_bonus)
    results = prefix_beam_search(clips, beam, language_model=model)
    for clip, row in zip(clips, results, strict=True):
        expected = plain_prefix_search(clip, beam_size, model, lm_weight, token_bonus)
        assert [hypothesis.ids for hypothesis in row] == [text for _, text in expected]
        scores = [hypothesis.score for hypothesis in row]
        assert scores == pytest.approx([total for total, _ in expected], abs=1e-9)


def test_special_tokens_are_never_spoken():
    log_probs = torch.randn(6, V, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    log_probs[:, [BOS, EOS, UNK]] += 5.0
    (row,) = prefix_beam_search([log_probs.log_softmax(-1)], CTCBeamConfig(20))
    assert {token for hypothesis in row for token in hypothesis.ids} == {4, 5}


@pytest.mark.parametrize("beam_size", [1, 3])
def test_clips_searched_together_and_alone_have_the_same_texts(beam_size):
    clips = [make_log_probs(seed, 3 + seed) for seed in range(4)]
    model, beam = make_ngram_model(), CTCBeamConfig(beam_size, lm_weight=0.5, token_bonus=0.3)
    together = prefix_beam_search(clips, beam, language_model=model)
    alone = [prefix_beam_search([clip], beam, language_model=model)[0] for clip in clips]
    assert ids_of(together) == ids_of(alone)
    assert max(len(row) for row in together) == beam_size


def test_a_language_model_in_training_mode_is_read_without_dropout():
    torch.manual_seed(1)
    model = RNNLM(V, width=8, cell="lstm", dropout=0.5).double().train()

    def search():
        return prefix_beam_search([make_log_probs(0)], WEIGHTED, language_model=model)

    results = [search() for _ in range(3)]
    assert model.training
    model.eval()
    assert results == [search()] * 3


def test_a_language_model_that_gives_nan_is_named():
    model = make_lstm()
    model.output.bias.data[4] = math.nan
    with pytest.raises(ValueError, match="the language model gives NaN"):
        prefix_beam_search([make_log_probs(0)], WEIGHTED, language_model=model)


@pytest.mark.parametrize("option", ["lm_weight", "token_bonus"])
@pytest.mark.parametrize("number", [math.nan, math.inf, True, "1", 1e308, -2e6])
def test_weight_and_bonus_must_not_overflow(option, number):
    message = f"{option} must be a number from -1000000.0 to 1000000.0, got {number!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        CTCBeamConfig(**{option: number})


@pytest.mark.parametrize("number", [1e6, -1e6])
def test_scores_are_finite_for_the_largest_weight_and_bonus(number):
    beam = CTCBeamConfig(3, lm_weight=number, token_bonus=-number)
    (row,) = prefix_beam_search([make_log_probs(0)], beam, language_model=make_ngram_model())
    assert all(math.isfinite(hypothesis.score) for hypothesis in row)


def test_a_language_model_with_complex_logits_is_refused():
    class Complex(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(V))

        def forward(self, ids, state=None):
            return torch.zeros(*ids.shape, V, dtype=torch.complex64), state

    with pytest.raises(ValueError, match=r"logits must be real .* got torch\.complex64"):
        prefix_beam_search([make_log_probs(0)], WEIGHTED, language_model=Complex())


def make_model_without_end():
    """A model of running text, which never predicts EOS."""
    return NGramLM.mle(NGramCounts([4, 5, 4, 4, 5, 5, 4], order=2, vocab_size=V))


@pytest.mark.parametrize("beam_size", [1, 3, 200])
def test_a_language_model_that_never_predicts_the_end_is_named(beam_size):
    clips, beam = [make_log_probs(0), make_log_probs(1)], CTCBeamConfig(beam_size, lm_weight=0.5)
    with pytest.raises(ValueError, match=r"language model gives probability 0 to all .* clip 0"):
        prefix_beam_search(clips, beam, language_model=make_model_without_end())


@pytest.mark.parametrize("beam_size", [1, 3, 200])
def test_a_negative_weight_of_texts_of_probability_zero_is_named(beam_size):
    beam = CTCBeamConfig(beam_size, lm_weight=-0.5)
    with pytest.raises(ValueError, match=r"with lm_weight=-0\.5 a text of probability 0 by the"):
        prefix_beam_search([make_log_probs(0)], beam, language_model=make_model_without_end())


def test_a_negative_weight_reverses_the_ranking_of_the_language_model():
    model, beam = make_ngram_model(), CTCBeamConfig(200, lm_weight=-0.5)
    (row,) = prefix_beam_search([make_log_probs(0)], beam, language_model=model)
    assert len(row) == len(log_probs_of_all_texts(make_log_probs(0)))
    for hypothesis in row:
        expected = hypothesis.ctc_log_prob - 0.5 * hypothesis.lm_log_prob
        assert hypothesis.score == pytest.approx(expected)


def test_texts_of_probability_zero_by_the_language_model_are_left_out():
    """It knows the texts 4, 4 5 and 4 4 5 …, but none that begins with 5."""
    model = NGramLM.mle(NGramCounts([[4, 5, EOS], [4, 4, 5, EOS]], order=2, vocab_size=V))
    (row,) = prefix_beam_search(
        [make_log_probs(0)], CTCBeamConfig(200, lm_weight=0.5), language_model=model
    )
    assert row and all(math.isfinite(hypothesis.score) for hypothesis in row)
    assert all(hypothesis.ids[0] == 4 and hypothesis.ids[-1] == 5 for hypothesis in row)


def test_clips_of_two_vocabularies_are_refused():
    clips = [make_log_probs(0), torch.zeros(3, V + 1)]
    with pytest.raises(ValueError, match=r"clips 0 and 1 have .* of different sizes, 6 and 7"):
        prefix_beam_search(clips)


def test_a_clip_without_log_probabilities_is_named():
    wrong = make_log_probs(1)
    wrong[1, 4] = math.nan
    with pytest.raises(ValueError, match="clip 1 has NaN at step 1"):
        prefix_beam_search([make_log_probs(0), wrong])
    with pytest.raises(
        ValueError, match=r"clip 0 must be floating-point numbers of shape \(S, V\)"
    ):
        prefix_beam_search(make_log_probs(0))  # one clip in place of a list


def test_a_vocabulary_without_room_for_the_special_tokens_is_refused():
    with pytest.raises(ValueError, match="a vocabulary of 2 has no tokens besides the special"):
        prefix_beam_search([torch.full((3, 2), 0.5).log()])


def test_no_clips_have_no_texts():
    assert prefix_beam_search([]) == []


def test_a_beam_size_below_one_is_refused():
    with pytest.raises(ValueError, match="beam_size must be a positive integer, got 0"):
        CTCBeamConfig(0)


@pytest.mark.parametrize(
    "model, message",
    [
        (None, "lm_weight=1.0 needs a language_model"),
        (
            RNNLM(V + 1, width=4, cell="lstm", tied=True),
            "has 7 tokens, the recognizer 6: .* the same vocabulary",
        ),
        (
            RNNLM(V, width=4, cell="lstm", tied=True).to("meta"),
            "runs on the CPU; move the model from meta",
        ),
        (
            GPT(V, width=8, num_layers=1, num_heads=2, context_length=16).eval(),
            "grows with the text",
        ),
    ],
    ids=["missing", "vocabulary", "device", "growing"],
)
def test_a_language_model_that_cannot_be_used_is_named(model, message):
    clips = [make_log_probs(seed) for seed in range(3)]
    with pytest.raises(ValueError, match=message):
        prefix_beam_search(clips, WEIGHTED, language_model=model)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_growing_state_is_refused_before_the_search(beam_size):
    """Even where all prefixes have one length, so that their states would fit into one batch."""
    options = {"weight": 1.0, "batch_size": 1, "beam_size": beam_size, "vocab_size": V}
    with pytest.raises(ValueError, match="grows with the text"):
        ShallowFusion(
            GPT(V, width=8, num_layers=1, num_heads=2, context_length=16).eval(), **options
        )
    ShallowFusion(GPT(V, width=8, num_layers=1, num_heads=2, context_length=2).eval(), **options)


@pytest.mark.parametrize("spoken", [(), (BOS, EOS, UNK)], ids=["nothing", "what is never spoken"])
def test_a_step_that_allows_no_text_is_an_error(spoken):
    """The recognizer gives the blank and all tokens that can be spoken −∞."""
    possible, impossible = make_log_probs(0), make_log_probs(1)
    impossible[1] = -math.inf
    impossible[1, list(spoken)] = -math.log(3)
    with pytest.raises(ValueError, match="clip 1 has a step at which no text has a probability"):
        prefix_beam_search([possible, impossible])
