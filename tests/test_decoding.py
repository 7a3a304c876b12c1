"""Decoding knows the contract alone: greedy, sampling and beam search against plain definitions."""

import itertools
import math

import pytest
import torch
from torch import nn

from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding import sampling
from utils.decoding import search as search_module
from utils.decoding.sampling import SamplingConfig
from utils.decoding.search import BeamConfig, beam_search
from utils.decoding.translation import decode_sources, translate
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.language_models import LSTMLM

V = 6  # four specials and two words


def model_of(seed: int, vocab_size: int = V) -> nn.Module:
    """A random LSTM with strong opinions, in float64."""
    torch.manual_seed(seed)
    model = LSTMLM(vocab_size, width=8, layers=1, tied=False).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    return model


def start(rows: int = 1) -> torch.Tensor:
    return torch.full((rows, 1), BOS)


def log_probabilities(model, ids, state=None):
    """log p of each token of one row of ids, one teacher-forced call, PAD and BOS ruled out."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([[BOS, *ids[:-1]]]), state)
    logits[..., [PAD, BOS]] = -math.inf
    return logits[0].double().log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]


def ranking_score(total, n, alpha, bonus):
    return total / ((5 + n) / 6) ** alpha + bonus * n


def every_answer(model, max_length, alpha, bonus):
    """All answers up to `max_length` tokens with their scores, best first: exhaustive search."""
    words = [w for w in range(V) if w not in (PAD, BOS, EOS)]
    found = []
    for n in range(max_length + 1):
        for text in itertools.product(words, repeat=n):
            ids = list(text) if n == max_length else [*text, EOS]
            if ids:
                total = log_probabilities(model, ids).sum().item()
                found.append((ranking_score(total, len(ids), alpha, bonus), list(text)))
    return sorted(found, reverse=True)


class Fixed(nn.Module):
    """The same distribution whatever came before."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, ids, state=None):
        return self.logits.expand(*ids.shape, -1).clone(), state


@pytest.mark.parametrize("seed", range(12))
def test_a_beam_of_one_is_greedy(seed):
    model, prompt = model_of(seed, 9), torch.tensor([[BOS, 4], [BOS, 5], [BOS, 6]])
    greedy = search_module.greedy(model, prompt, max_length=7)
    beam = beam_search(model, prompt, config=BeamConfig(1), max_length=7)
    assert [row[0].ids for row in beam] == greedy
    assert all(len(row) == 1 for row in beam)


def test_the_random_models_end_early_and_late():
    lengths = [
        len(search_module.greedy(model_of(s, 9), start(), max_length=7)[0]) for s in range(40)
    ]
    assert min(lengths) < 3 and max(lengths) == 7, "the test above covers both"


class Table(nn.Module):
    """p(next | last token), from a dictionary of dictionaries."""

    def __init__(self, rows):
        super().__init__()
        self.table = torch.full((V, V), -math.inf)
        for last, row in rows.items():
            for word, p in row.items():
                self.table[last, word] = math.log(p)

    def forward(self, ids, state=None):
        return self.table[ids], state


def test_an_answer_ends_only_among_the_best_continuations():
    """After 5, EOS is the third best continuation of two: it is passed over, not taken."""
    rows = {
        BOS: {4: 0.5, 5: 0.45, EOS: 0.05},
        4: {EOS: 0.6, 4: 0.4},
        5: {EOS: 0.42, 5: 0.4, 4: 0.18},
    }
    (found,) = beam_search(Table(rows), start(), config=BeamConfig(2, alpha=0.0), max_length=3)
    assert found[0].ids == [4] and [5] not in [h.ids for h in found]


def test_a_row_ends_with_its_last_answer_though_longer_ones_might_score_better():
    likely_end = Fixed([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    (found,) = beam_search(likely_end, start(), config=BeamConfig(1, alpha=6.0), max_length=6)
    assert [h.ids for h in found] == [[]]
    for ranking in ({"alpha": 6.0}, {"alpha": 0.0, "bonus": 2.0}):  # with patience they are found
        (found,) = beam_search(
            likely_end, start(), None, 1, config=BeamConfig(patience=3), max_length=6, **ranking
        )
        assert len(found) == 1 and found[0].ids == [4, 4]


@pytest.mark.parametrize(("alpha", "bonus"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.5), (1.0, 0.3)])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_is_exhaustive_search(seed, alpha, bonus):
    model, depth = model_of(seed), 4
    wanted = every_answer(model, depth, alpha, bonus)
    wide = len(wanted) + 9  # more than there are answers
    (found,) = beam_search(
        model,
        start(),
        None,
        wide,
        config=BeamConfig(alpha=alpha, token_bonus=bonus),
        max_length=depth,
    )
    assert [h.ids for h in found] == [ids for _, ids in wanted]
    scores = torch.tensor([h.score for h in found]), torch.tensor([s for s, _ in wanted])
    assert torch.allclose(*scores, atol=1e-6)


def plain_beam_search(model, beam, max_length, alpha, bonus, patience):
    """Beam search as its docstring says it, one hypothesis at a time, without a state."""
    open_, done = [((), 0.0)], []
    for n in range(1, max_length + 1):
        found = []
        for text, total in open_:
            steps = model(torch.tensor([[BOS, *text]]))[0][0, -1].detach()
            steps[[PAD, BOS]] = -math.inf
            found += [(total + p, text, w) for w, p in enumerate(steps.log_softmax(-1).tolist())]
        found = sorted((f for f in found if f[0] > -math.inf), reverse=True)
        ends = [(s, text) for s, text, w in found[:beam] if w == EOS]
        done += [(ranking_score(s, n, alpha, bonus), list(text)) for s, text in ends]
        open_ = [((*text, w), s) for s, text, w in found if w != EOS][:beam]
        if len(done) >= patience * beam:
            open_ = []
    done += [(ranking_score(s, max_length, alpha, bonus), list(text)) for text, s in open_]
    return sorted(done, reverse=True)[:beam]


@pytest.mark.parametrize("ranking", [(1.0, 0.0, 1), (0.0, 0.8, 2), (0.5, 0.2, 0.5)])
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_beam_search_is_its_plain_version(seed, beam, ranking):
    model = model_of(seed, 9)
    (found,) = beam_search(model, start(), None, beam, max_length=6, *ranking)
    wanted = plain_beam_search(model, beam, 6, *ranking)
    assert [h.ids for h in found] == [ids for _, ids in wanted]
    assert [h.score for h in found] == pytest.approx([s for s, _ in wanted])


def test_scores_are_those_of_a_teacher_forced_call():
    model = model_of(3, 9)
    for hypothesis in beam_search(model, start(), config=BeamConfig(4, alpha=0.7), max_length=6)[0]:
        ids = hypothesis.ids if len(hypothesis.ids) == 6 else [*hypothesis.ids, EOS]
        total = log_probabilities(model, ids).sum().item()
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-9)
        assert hypothesis.score == pytest.approx(total / ((5 + len(ids)) / 6) ** 0.7, abs=1e-9)


def test_a_batch_is_decoded_as_its_rows_alone():
    torch.manual_seed(38)
    model = lstm_seq2seq(9, width=8, layers=1).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    source = torch.randint(4, 9, (6, 5))
    state = model.encode(source)
    rows = [model.encode(source[i : i + 1]) for i in range(6)]
    greedy = search_module.greedy(model, start(6), state, max_length=8)
    assert greedy == [search_module.greedy(model, start(), s, max_length=8)[0] for s in rows]
    assert 1 < len({len(text) for text in greedy}), "some leave the batch before others"
    beam = beam_search(model, start(6), state, 3, max_length=8)
    alone = [beam_search(model, start(), s, 3, max_length=8)[0] for s in rows]
    assert [[h.ids for h in row] for row in beam] == [[h.ids for h in row] for row in alone]
    scores = [torch.tensor([[h.score for h in row] for row in of]) for of in (beam, alone)]
    assert torch.allclose(*scores, atol=1e-9)


def test_rows_that_end_early_leave_the_others_alone():
    lengths = set()
    for seed in range(10):
        model = model_of(seed, 9)
        prompts = torch.tensor([[BOS, w] for w in range(4, 9)])
        texts = search_module.greedy(model, prompts, max_length=7)
        assert texts == [search_module.greedy(model, row[None], max_length=7)[0] for row in prompts]
        lengths.add(tuple(len(text) for text in texts))
    assert any(early < late for row in lengths for early, late in zip(row, row[1:], strict=False))


def test_cached_decoding_is_reading_the_whole_prefix_again():
    model = model_of(1, 9)
    ids = [BOS]
    while ids[-1] != EOS and len(ids) <= 10:
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0][0, -1]
        logits[[PAD, BOS]] = -math.inf
        ids.append(int(logits.argmax()))
    wanted = [w for w in ids[1:] if w != EOS]
    assert search_module.greedy(model, start(), max_length=10) == [wanted]


def test_sampling_follows_the_softmax_and_its_temperature():
    logits, n, temperature = [0.0, 0.0, -math.inf, 0.5, 1.0, -1.0], 20_000, 0.7
    generator = torch.Generator().manual_seed(0)
    drawn = sampling.sample(
        Fixed(logits),
        start(n),
        None,
        1,
        config=SamplingConfig(temperature=temperature),
        generator=generator,
    )
    counts = torch.bincount(torch.tensor(drawn)[:, 0], minlength=V).double() / n
    wanted = torch.tensor(logits).double() / temperature
    wanted[[PAD, BOS]] = -math.inf
    p = wanted.softmax(-1)
    # five standard deviations: a false alarm less than once in a million runs
    assert ((counts - p).abs() <= 5 * (p * (1 - p) / n).sqrt() + 1e-12).all()


def test_sampling_repeats_with_its_generator_and_cools_to_greedy():
    model = model_of(5, 9)
    one, two = (
        sampling.sample(
            model,
            start(4),
            None,
            9,
            config=SamplingConfig(temperature=1.0),
            generator=torch.Generator().manual_seed(7),
        )
        for _ in range(2)
    )
    assert one == two
    other = sampling.sample(
        model,
        start(4),
        None,
        9,
        config=SamplingConfig(temperature=1.0),
        generator=torch.Generator().manual_seed(8),
    )
    assert other != one
    for cold in (1e-4, 1e-320):  # the second divides logits beyond the largest number
        drawn = sampling.sample(model, start(4), None, 9, config=SamplingConfig(temperature=cold))
        assert drawn == search_module.greedy(model, start(4), max_length=9)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        sampling.sample(model_of(0), start(), config=SamplingConfig(temperature=temperature))


def test_pad_and_bos_are_never_said():
    loud = Fixed([9.0, 9.0, 0.0, 0.0, 1.0, 0.0])
    texts = search_module.greedy(loud, start(3), max_length=5)
    texts += sampling.sample(loud, start(3), max_length=5)
    texts += [h.ids for h in beam_search(loud, start(), config=BeamConfig(5), max_length=5)[0]]
    assert texts[0] == [4] * 5 and not {PAD, BOS} & set(itertools.chain(*texts))


def test_a_model_that_never_ends_is_cut_and_one_that_ends_at_once_says_nothing():
    endless = Fixed([0.0, 0.0, -math.inf, 0.0, 1.0, 0.0])
    assert search_module.greedy(endless, start(2), max_length=4) == [[4] * 4] * 2
    assert len(beam_search(endless, start(), config=BeamConfig(3), max_length=4)[0]) == 3
    silent, calls = Fixed([0.0, 0.0, 50.0, 0.0, 0.0, 0.0]), []
    silent.register_forward_hook(lambda *call: calls.append(call))
    assert search_module.greedy(silent, start(2), max_length=4) == [[], []]
    assert beam_search(silent, start(), config=BeamConfig(1), max_length=4)[0][0].ids == []
    assert len(calls) == 2, "whoever has ended is asked no more"


def test_edges_of_length_batch_and_beam():
    model = model_of(0)
    assert search_module.greedy(model, start(2), max_length=0) == [[], []]
    assert sampling.sample(model, start(2), max_length=0) == [[], []]
    (nothing,) = beam_search(model, start(), max_length=0)[0]
    assert (nothing.ids, nothing.score) == ([], 0.0)
    none = torch.empty(0, 1, dtype=torch.int64)
    for decode in (search_module.greedy, sampling.sample, beam_search):
        assert decode(model, none) == []
        assert decode(_never_called, none) == []
    with pytest.raises(ValueError, match="beam"):
        beam_search(model, start(), config=BeamConfig(0))
    for wrong in (0, -1, math.nan):
        with pytest.raises(ValueError, match="patience"):
            beam_search(model, start(), config=BeamConfig(patience=wrong))
    for wrong in (torch.empty(1, 0, dtype=torch.int64), torch.tensor([BOS])):
        with pytest.raises(ValueError, match="prompt"):
            search_module.greedy(model, wrong)
    with pytest.raises(ValueError, match="max_length"):
        search_module.greedy(model, start(), max_length=-1)


def _never_called(ids, state=None):
    raise AssertionError("there is nothing to read")


@pytest.mark.parametrize("size", [1, 2])
def test_a_vocabulary_without_eos_is_refused(size):
    for decode in (search_module.greedy, sampling.sample, beam_search):
        with pytest.raises(ValueError, match="no EOS"):
            decode(Fixed([0.0] * size), torch.zeros(1, 1, dtype=torch.int64))


def test_the_smallest_vocabulary_that_can_end_says_nothing():
    for decode in (search_module.greedy, sampling.sample):
        assert decode(Fixed([0.0] * 3), start(2)) == [[], []]
    (only,) = beam_search(Fixed([0.0] * 3), start(), config=BeamConfig(4))[0]
    assert only.ids == [] and only.log_probability == 0.0


def test_a_prompt_of_many_tokens_is_read_as_one_call():
    model, prompt = model_of(2, 9), torch.tensor([[BOS, 4, 5, 6], [BOS, 7, 7, 4]])
    with torch.no_grad():
        state = model(prompt[:, :-1])[1]
    wanted = search_module.greedy(model, prompt[:, -1:], state, max_length=6)
    assert search_module.greedy(model, prompt, max_length=6) == wanted
    beam = beam_search(model, prompt, config=BeamConfig(3), max_length=6)
    assert beam == beam_search(model, prompt[:, -1:], state, 3, max_length=6)


def test_length_normalization_favours_longer_answers():
    model = Fixed([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    short, long = (
        beam_search(model, start(), config=BeamConfig(6, alpha=a), max_length=6)[0][0].ids
        for a in (0.0, 6.0)
    )
    assert len(short) < len(long)


def translator(vocab_size: int = 12):
    torch.manual_seed(7)
    model = lstm_seq2seq(vocab_size, width=8).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(5)
    return model


SOURCES = [[4, 5, 6], [7], [8, 4], [6, 6, 6], [9, 10], [5], [11, 4, 7], [4, 4]]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("beam", [None, 3])
def test_sources_are_answered_in_their_order_as_each_alone(size, beam):
    model, sizes = translator(), []

    def search(model, prompt, state):
        sizes.append(len(prompt))
        assert prompt.tolist() == [[BOS]] * len(prompt)
        if beam is None:
            return search_module.greedy(model, prompt, state, max_length=6)
        return beam_search(model, prompt, state, beam, max_length=6)

    found = decode_sources(model, SOURCES, search, batch_size=size)
    assert max(sizes) == min(size, 3) and sum(sizes) == len(SOURCES)
    for source, answer in zip(SOURCES, found, strict=True):
        (alone,) = search(model, start(), model.encode(torch.tensor([source])))
        if beam is None:
            assert answer == alone
        else:
            assert [h.ids for h in answer] == [h.ids for h in alone]
            assert all(abs(a.score - b.score) < 1e-9 for a, b in zip(answer, alone, strict=True))
    ids = found if beam is None else [hypotheses[0].ids for hypotheses in found]
    assert len(set(map(tuple, ids))) > 4, "the answers differ, so their order can be seen"
    assert decode_sources(model, [], search) == []


def test_an_empty_source_is_refused():
    with pytest.raises(ValueError, match="source 1 has no tokens"):
        decode_sources(translator(), [[4], []], search_module.greedy)


@pytest.mark.parametrize(
    "options", [{}, {"beam": 4}, {"beam": 4, "alpha": 0.0, "bonus": 9.0, "patience": 3}]
)
def test_translations_are_the_searchs_answers_as_text(options):
    words = WordTokenizer.train("a b c d e f g h")
    model = translator(len(words))
    texts, encode, sizes = [words.decode(source) for source in SOURCES], model.encode, []
    model.encode = lambda source: (sizes.append(len(source)), encode(source))[1]
    found = translate(model, texts, words, max_length=5, batch_size=2, **options)
    assert max(sizes) == 2
    wanted = []
    for source in SOURCES:
        state = model.encode(torch.tensor([source]))
        if not options:
            (ids,) = search_module.greedy(model, start(), state, max_length=5)
        else:
            ids = beam_search(model, start(), state, max_length=5, **options)[0][0].ids
        wanted.append(words.decode(ids))
    assert found == wanted and len(set(found)) > 4
