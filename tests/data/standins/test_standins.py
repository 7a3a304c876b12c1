"""The stand-ins: the same everywhere, without repeats, and with something to learn."""

import numpy as np
import pytest

from utils.data.corpora import load_digits, load_pairs, load_reviews, load_text
from utils.data.standins.grammar import lexicon
from utils.data.standins.pairs import REALIZERS, make_pairs
from utils.data.standins.spoken_digits import SPEAKERS, make_digits
from utils.data.standins.texts import NEGATIVE_WORDS, POSITIVE_WORDS, make_reviews, make_text

ADJECTIVES = {*POSITIVE_WORDS, *NEGATIVE_WORDS}


def test_text_is_long_and_repeats_no_paragraph(offline):
    paragraphs = make_text().split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs) > 500
    corpus = load_text()
    assert corpus.all == make_text()
    assert len(corpus.train) > 200_000 and len(corpus.test) > 10_000
    assert set(corpus.test) - set(corpus.train) <= {c for c in corpus.test if not c.isascii()}


# ---- sentence pairs -----------------------------------------------------------------------------


@pytest.mark.parametrize("source, target", [("de", "en"), ("en", "zh"), ("fr", "de")])
def test_pairs_never_overlap(source, target):
    splits = make_pairs(source, target, sizes=(900, 50, 50))
    assert [len(split) for split in splits] == [900, 50, 50]
    for side in (0, 1):
        assert len({pair[side] for split in splits for pair in split}) == 1000
    assert splits == make_pairs(source, target, sizes=(900, 50, 50))
    assert splits[0] != make_pairs(source, target, sizes=(900, 50, 50), seed=1)[0]


@pytest.mark.parametrize(
    "languages, options, message",
    [
        (("xx", "de"), {}, "source_language is 'xx'; choose from de, en, fr, zh"),
        (("de", "xx"), {}, "target_language is 'xx'; choose from de, en, fr, zh"),
        (("de", "de"), {}, "both 'de'"),
        (("de", "en"), {"sizes": (-1, 1, 1)}, r"sizes\[0\] must be a non-negative integer, got -1"),
        (("de", "en"), {"sizes": (1, 1)}, "expected three sizes"),
        (("de", "en"), {"sizes": (1, 1, 0.5)}, r"sizes\[2\] must be"),
        (("de", "en"), {"seed": None}, "seed must be"),
    ],
)
def test_pairs_that_cannot_be_made_are_refused(languages, options, message):
    with pytest.raises(ValueError, match=message):
        make_pairs(*languages, **{"sizes": (1, 1, 1)} | options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sizes": (2, -1, 1)}, r"sizes\[1\] must be"),
        ({"noise": 2.0}, "noise must be a number from 0 to 1"),
        ({"noise": float("nan")}, "noise must be a number from 0 to 1"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_reviews_that_cannot_be_made_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_reviews(**{"sizes": (2, 1, 1)} | options)


def test_pairs_offline_come_in_every_language(offline, capsys):
    corpus = load_pairs()
    assert corpus.origin == "stand-in"
    assert [len(s) for s in (corpus.train, corpus.valid, corpus.test)] == [18000, 1000, 1000]
    for side in (0, 1):
        assert len({pair[side] for pair in corpus.all}) == 20_000
        train_words = {word for pair in corpus.train for word in pair[side].split()}
        test_words = [word for pair in corpus.test for word in pair[side].split()]
        assert sum(word not in train_words for word in test_words) < 10
    assert capsys.readouterr().out.count("\n") == 1
    assert set(REALIZERS) == {"de", "en", "fr", "zh"}


def test_word_order_really_differs():
    """A word-by-word translation cannot work: the German verb often ends the sentence."""
    last_words = [
        german.rstrip(".").split()[-1] for german, _ in make_pairs("de", "en", sizes=(500, 1, 1))[0]
    ]
    verb_forms = {form for entry in lexicon()["verbs"] for form in entry.de[1:3]}
    assert np.mean([word in verb_forms for word in last_words]) > 0.2


# ---- reviews ------------------------------------------------------------------------------------


def test_reviews_are_balanced_distinct_and_hold_words_out(offline):
    corpus = load_reviews()
    assert corpus.origin == "stand-in"
    assert len({sentence for sentence, _ in corpus.all}) == len(corpus.all) == 6000
    assert 0.45 < np.mean([label for _, label in corpus.train]) < 0.55
    train_words = {word for sentence, _ in corpus.train for word in sentence.split()}
    new_words = {word for sentence, _ in corpus.test for word in sentence.split()} - train_words
    assert new_words and new_words <= ADJECTIVES


def verdict(sentence):
    """Whether a review is positive, by its last clause, or by the one next to "although"."""
    clause = sentence.split(" , ")[-1] if ", although" in sentence else sentence
    clause = clause.split(" , ")[-1] if "although" in sentence else clause.split("but ")[-1]
    words = clause.split()
    is_positive = [word in POSITIVE_WORDS for word in words if word in ADJECTIVES]
    return is_positive[0] != ("not" in words[:4] or "nothing" in words[:3])


def test_labels_follow_the_last_word_but_for_the_noise():
    without_opening = [
        (sentence, label)
        for sentence, label in make_reviews()[0]
        if sentence.startswith(("the", "there", "alth"))
    ]
    wrong = np.mean([verdict(sentence) != label for sentence, label in without_opening])
    assert 0.03 < wrong < 0.07, "label noise should be about 5 %"
    without_noise = [
        (sentence, label)
        for sentence, label in make_reviews(noise=0.0)[0]
        if sentence.startswith(("the", "alth"))
    ]
    assert [sentence for sentence, label in without_noise if verdict(sentence) != label] == []


def test_but_joins_opposite_sentiments():
    for sentence, _ in make_reviews(noise=0.0)[0]:
        words = sentence.split()
        if " , but " in sentence and not {"not", "nothing"} & set(words):
            is_positive = [word in POSITIVE_WORDS for word in words if word in ADJECTIVES]
            assert sorted(is_positive) == [False, True], sentence


def test_bags_of_words_are_not_enough():
    """Some pairs of reviews have the same words but different labels; only the order differs."""
    labels = {}
    for sentence, label in make_reviews(noise=0.0)[0]:
        labels.setdefault(" ".join(sorted(sentence.split())), set()).add(label)
    assert any(len(both) == 2 for both in labels.values())


# ---- spoken digits ------------------------------------------------------------------------------


def test_digits_sound_like_digits(offline):
    corpus = load_digits()
    assert corpus.origin == "stand-in"
    assert [len(s) for s in (corpus.train, corpus.valid, corpus.test)] == [2400, 300, 300]
    assert {(clip.digit, clip.speaker) for clip in corpus.test} == {
        (digit, speaker) for digit in range(10) for speaker in SPEAKERS
    }
    for clip in corpus.all:
        assert clip.sample_rate == 8000 and clip.samples.dtype == np.float32
        assert 0.1 < len(clip.samples) / clip.sample_rate < 1.2
        assert 0.2 < np.abs(clip.samples).max() <= 1
    takes = [clip for clip in corpus.all if (clip.digit, clip.speaker) == (3, "carl")]
    assert len({len(clip.samples) for clip in takes}) > 20, "takes should differ"


def spectrum(samples):
    """Log magnitudes in 20 slices of time and 16 bands, (320,)."""
    slices = [part * np.hanning(len(part)) for part in np.array_split(samples, 20)]
    bands = [np.abs(np.fft.rfft(part, 256))[:128].reshape(16, 8).mean(1) for part in slices]
    return np.log(np.stack(bands) + 1e-3).ravel()


def test_digits_of_an_unseen_speaker_are_recognized():
    clips = make_digits(6)
    means = np.stack(
        [
            np.mean(
                [spectrum(c.samples) for c in clips if c.speaker != "ewan" and c.digit == digit], 0
            )
            for digit in range(10)
        ]
    )
    hits = [
        np.argmin(((means - spectrum(clip.samples)) ** 2).sum(1)) == clip.digit
        for clip in clips
        if clip.speaker == "ewan"
    ]
    assert np.mean(hits) > 0.7, "chance is 0.1"


def test_a_second_call_returns_the_same_digits_and_fewer_takes_are_a_subset():
    few, many = make_digits(1), make_digits(3)
    assert len(few) == 60 and len(many) == 180
    few[0].samples[:] = 0  # a caller's changes to its samples stay with the caller
    first_takes = [clip for clip in make_digits(3) if clip.take == 0]
    assert np.abs(first_takes[0].samples).max() > 0.2
    for clip, again in zip(few[1:], first_takes[1:], strict=True):
        assert np.array_equal(clip.samples, again.samples)
    with pytest.raises(ValueError, match="from 1 to 50"):
        make_digits(0)
