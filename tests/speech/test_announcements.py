"""Announcements of a station: distinct sentences, and voices that no two splits share."""

from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from utils.data import espeak
from utils.data.examples import SAMPLE_RATE
from utils.speech import announcements
from utils.speech.announcements import (
    ACCENTS,
    TEMPLATES,
    TOWNS,
    VARIANTS,
    sample_sentences,
    speak_announcements,
)


def test_sentences_are_distinct_and_leave_out_those_excluded():
    test = sample_sentences(50, seed=1)
    train = sample_sentences(500, seed=2, excluded=test)
    assert len({*test, *train}) == 550 and sample_sentences(50, seed=1) == test
    letters = set("abcdefghijklmnopqrstuvwxyz ")
    assert all(set(text) <= letters and "  " not in text for text in train)


def test_no_sentence_names_a_town_twice():
    for text in sample_sentences(500, seed=3):
        towns = [word for word in text.split() if word in TOWNS]
        assert len(set(towns)) == len(towns) >= 1


def test_more_sentences_than_the_grammar_has_are_refused(monkeypatch):
    monkeypatch.setattr(announcements, "TEMPLATES", TEMPLATES[-1:])
    assert len(sample_sentences(len(TOWNS), seed=0)) == len(TOWNS)
    with pytest.raises(ValueError, match="the grammar has 18 sentences, not 19"):
        sample_sentences(len(TOWNS) + 1, seed=0)
    message = "the grammar gave 17 sentences besides those excluded, not 18"
    with pytest.raises(ValueError, match=message):
        sample_sentences(len(TOWNS), seed=0, excluded=sample_sentences(1, seed=0))


def test_far_too_many_sentences_are_refused_before_any_is_drawn(monkeypatch):
    monkeypatch.setattr(announcements, "sample_sentence", None)
    with pytest.raises(ValueError, match="the grammar has 18,702 sentences, not 18,703"):
        sample_sentences(18_703, seed=0)


@pytest.mark.parametrize("template", [TEMPLATES[0], TEMPLATES[1], TEMPLATES[4], TEMPLATES[6]])
def test_each_template_gives_the_counted_number_of_sentences(monkeypatch, template):
    monkeypatch.setattr(announcements, "TEMPLATES", [template])
    rng = np.random.default_rng(0)
    drawn = {announcements.sample_sentence(rng) for _ in range(4_000)}
    assert len(drawn) == announcements._num_distinct(template)


def test_voices_of_a_split_are_its_own():
    texts = sample_sentences(6, seed=0)
    voices = {}
    for split in ("train", "valid", "test"):
        spoken = list(speak_announcements(texts, split=split, seed=0))
        assert len(spoken) == len(texts)
        voices[split] = {voice for _, voice in spoken}
        assert all(len(x) > SAMPLE_RATE and np.abs(x).max() > 0.05 for x, _ in spoken)
        possible = {
            f"{accent}+{variant}" for accent in ACCENTS[split] for variant in VARIANTS[split]
        }
        assert voices[split] <= possible
    assert not voices["train"] & voices["test"] and not voices["train"] & voices["valid"]
    assert not set(ACCENTS["train"]) & {*ACCENTS["valid"], *ACCENTS["test"]}
    assert not set(VARIANTS["train"]) & set(VARIANTS["test"])


def test_voices_pitches_and_speeds_are_random(monkeypatch):
    monkeypatch.setattr(espeak, "synthesize", list)
    spoken = speak_announcements(sample_sentences(300, seed=0), split="train", seed=0)
    utterances, voices = zip(*spoken, strict=True)
    pitches = [utterance.pitch for utterance in utterances]
    speeds = [utterance.words_per_minute for utterance in utterances]
    assert set(pitches) == set(range(35, 65))
    assert min(speeds) == 115 and max(speeds) == 149
    assert len(set(voices)) == len(ACCENTS["train"]) * len(VARIANTS["train"])
    assert voices == tuple(utterance.voice for utterance in utterances)
    again = speak_announcements(sample_sentences(300, seed=0), split="train", seed=1)
    assert voices != tuple(voice for _, voice in again)


def test_an_unknown_split_is_refused_at_once():
    with pytest.raises(ValueError, match="choose from train, valid, test, far"):
        speak_announcements(sample_sentences(1, seed=0), split="dev", seed=0)


def test_no_variant_belongs_to_two_splits_and_the_synthesizer_has_them_all():
    variants = [variant for split in ACCENTS for variant in VARIANTS[split]]
    assert len(set(variants)) == len(variants)
    assert ACCENTS["far"] == ACCENTS["test"]
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    missing = [variant for variant in variants if not (folder / variant).is_file()]
    assert not missing, "the synthesizer does not complain of a variant that it does not have"


@pytest.mark.parametrize("seed", [None, -1, 1.5])
def test_a_seed_that_is_no_non_negative_integer_is_refused(seed):
    """None would draw other sentences each time."""
    with pytest.raises(ValueError, match="seed must be a non-negative integer"):
        announcements.sample_sentences(1, seed=seed)
    with pytest.raises(ValueError, match="seed must be a non-negative integer"):
        announcements.speak_announcements(["hello"], split="train", seed=seed)


@pytest.mark.parametrize("texts", ["hello", [None], 3])
def test_what_is_not_a_list_of_texts_is_not_spoken(texts):
    with pytest.raises(ValueError, match="texts"):
        announcements.speak_announcements(texts, split="train", seed=0)
