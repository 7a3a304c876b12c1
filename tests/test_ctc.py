"""CTC against its definition, sums over all alignments, and its search against all texts."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from tests.tensors import same
from utils.data.batches import IGNORE
from utils.data.vocabulary import BOS, EOS, PAD
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.speech import ctc
from utils.speech.ctc_search import prefix_beam_search

V, S = 6, 4  # the specials and two tokens; places
TEXTS = [[], [4], [5], [4, 4], [4, 5], [5, 4, 5], [4, 4, 5], [4, 5, 4, 5]]


def sound(seed: int, places: int = S, dtype=torch.float64) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(places, V, generator=random, dtype=dtype)
    logits[:, [BOS, EOS, 3]] = -math.inf
    return logits.log_softmax(-1)


def every_text(log_p: torch.Tensor) -> dict[tuple, float]:
    """log p of each text that can be said in so many places: all alignments, summed by text."""
    found: dict[tuple, list[float]] = {}
    for path in itertools.product([PAD, 4, 5], repeat=len(log_p)):
        total = sum(float(log_p[t, w]) for t, w in enumerate(path))
        found.setdefault(tuple(ctc.collapse(path)), []).append(total)
    return {
        text: float(torch.tensor(v, dtype=torch.float64).logsumexp(0)) for text, v in found.items()
    }


def language_model(kind: str):
    torch.manual_seed(1)
    if kind == "n-gram":
        texts = [[4, 5, EOS], [4, 4, EOS], [5, 5, 4, EOS], [EOS]]
        return NGramLM.kneser_ney(NGramCounts(texts, order=3, vocab_size=V))
    return LSTMLM(V, width=8, layers=1, tied=False).double().eval()


def test_collapse_first_joins_repeats_then_drops_blanks():
    assert ctc.collapse([PAD, 4, 4, PAD, 4, 5, 5, PAD]) == [4, 4, 5]
    assert ctc.collapse([PAD, PAD]) == ctc.collapse([]) == []


@pytest.mark.parametrize("text", TEXTS)
def test_loss_is_the_sum_over_all_alignments_and_torchs(text):
    log_p = sound(0)
    wanted = every_text(log_p).get(tuple(text))
    assert wanted is not None
    assert float(ctc.loss(log_p, text)) == pytest.approx(-wanted, abs=1e-12)
    theirs = F.ctc_loss(log_p[:, None], torch.tensor([text], dtype=torch.int64),
                        torch.tensor([S]), torch.tensor([len(text)]), PAD, "none")  # fmt: skip
    assert float(ctc.loss(log_p, text)) == pytest.approx(float(theirs), abs=1e-12)


def test_all_texts_together_have_probability_one():
    log_p = sound(3)
    texts = every_text(log_p)
    assert sum(math.exp(-float(ctc.loss(log_p, list(t)))) for t in texts) == pytest.approx(1)


def test_what_does_not_fit_is_impossible():
    assert float(ctc.loss(sound(0), [4, 4, 4])) == math.inf  # needs two blanks: five places
    assert math.isfinite(float(ctc.loss(sound(0, places=5), [4, 4, 4])))
    with pytest.raises(ValueError, match="no alignment of 4 places gives these 3 tokens"):
        ctc.gradient(sound(0, places=4), [4, 4, 4])


@pytest.mark.parametrize("text", TEXTS)
def test_forward_times_backward_is_the_same_at_every_place(text):
    log_p = sound(1)
    both = ctc.forward_variables(log_p, text) + ctc.backward_variables(log_p, text)
    assert same(both.logsumexp(1), -ctc.loss(log_p, text).expand(S), 1e-12)


@pytest.mark.parametrize("text", TEXTS)
def test_gradient_is_autograds(text):
    logits = torch.randn(S, V, dtype=torch.float64, requires_grad=True)
    log_p = logits.log_softmax(-1)
    targets = torch.tensor([text], dtype=torch.int64)
    total = ctc.batch_loss(log_p[None], torch.tensor([S]), targets).sum()
    (wanted,) = torch.autograd.grad(total, logits)
    found = ctc.gradient(log_p.detach(), text)
    assert same(found, wanted, 1e-12) and same(found.sum(1), torch.zeros(S).double(), 1e-12)


def test_the_fast_loss_of_a_batch_skips_padding():
    rows, texts = [sound(0, 7), sound(1, 5), sound(2, 4)], [[4, 4, 5], [], [5]]
    log_p = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9.0)
    targets = torch.tensor([[4, 4, 5], [IGNORE] * 3, [5, IGNORE, IGNORE]])
    found = ctc.batch_loss(log_p, torch.tensor([7, 5, 4]), targets)
    assert same(found, torch.stack([ctc.loss(r, t) for r, t in zip(rows, texts, strict=True)]))
    with pytest.raises(ValueError, match="row 0 has 3 places for 4"):
        ctc.batch_loss(log_p, torch.tensor([3, 5, 4]), targets)


def test_greedy_takes_the_best_path_which_is_not_the_best_text():
    log_p = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    log_p = torch.cat([log_p[:, :1], torch.full((2, 3), -math.inf), log_p[:, 1:]], 1)
    assert ctc.best_path(log_p) == []  # 0.36 against 0.16 + 0.24 + 0.24 for the token
    assert [f.ids for f in prefix_beam_search([log_p])[0]] == [[4], []]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["n-gram", "LSTM"])
@pytest.mark.parametrize("weight, bonus", [(0.0, 0.0), (0.7, 0.0), (1.3, 0.8), (0.0, -0.5)])
def test_a_wide_beam_is_exhaustive_search(kind, weight, bonus):
    model, sounds = language_model(kind), [sound(seed, 5 - seed) for seed in range(3)]
    found = prefix_beam_search(
        sounds, beam_size=200, language_model=model, lm_weight=weight, token_bonus=bonus
    )
    for log_p, row in zip(sounds, found, strict=True):
        wanted = []
        for text, acoustic in every_text(log_p).items():
            ids = torch.tensor([[BOS, *text]])
            language = 0.0
            if weight:
                logits, _ = model(ids)
                steps = logits[0].double().log_softmax(-1)
                language = float(steps.gather(1, torch.tensor([*text, EOS])[:, None]).sum())
            score = acoustic + weight * language + bonus * len(text)
            wanted.append((score, acoustic, language, list(text)))
        wanted.sort(reverse=True)
        assert [f.ids for f in row] == [text for *_, text in wanted]
        numbers = [(f.score, f.acoustic, f.language) for f in row]
        wanted = torch.tensor([w[:3] for w in wanted], dtype=torch.float64)
        assert same(torch.tensor(numbers, dtype=torch.float64), wanted, 1e-9)


@pytest.mark.parametrize("beam", [1, 3])
def test_sounds_searched_together_and_alone_say_the_same(beam):
    model = language_model("n-gram")
    sounds = [sound(seed, 3 + seed) for seed in range(4)]
    together = prefix_beam_search(
        sounds, beam_size=beam, language_model=model, lm_weight=0.5, token_bonus=0.3
    )
    alone = [
        prefix_beam_search(
            [s], beam_size=beam, language_model=model, lm_weight=0.5, token_bonus=0.3
        )[0]
        for s in sounds
    ]
    assert [[f.ids for f in row] for row in together] == [[f.ids for f in row] for row in alone]
    assert max(len(row) for row in together) == beam and prefix_beam_search([]) == []


def test_mistakes_of_the_reader_are_named():
    with pytest.raises(ValueError, match="beam must be at least 1"):
        prefix_beam_search([sound(0)], beam_size=0)
    with pytest.raises(ValueError, match="one vocabulary"):
        prefix_beam_search(
            [sound(0)], beam_size=2, language_model=LSTMLM(V + 1, width=4, layers=1), lm_weight=1.0
        )
    with pytest.raises(ValueError, match="runs on the CPU; move the model from meta"):
        prefix_beam_search(
            [sound(0)],
            beam_size=2,
            language_model=LSTMLM(V, width=4, layers=1).to("meta"),
            lm_weight=1.0,
        )
    growing = GPT(V, width=8, layers=1, heads=2, context_length=16).double().eval()
    with pytest.raises(ValueError, match="grows with the text"):
        prefix_beam_search(
            [sound(s) for s in range(3)], beam_size=3, language_model=growing, lm_weight=1.0
        )
