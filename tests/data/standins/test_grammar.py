"""The grammar: its lexicon is complete, and the meanings that are drawn make sense."""

from utils.data.standins.grammar import Entry, Phrase, lexicon
from utils.data.standins.pairs import realize
from utils.data.standins.sampler import MeaningSampler


def test_every_word_is_complete():
    counts = {  # of forms in English, German, French, Chinese
        "nouns": ({2}, {3, 4}, {3}, {2}),
        "verbs": ({3}, {4, 5}, {5}, {1}),
        "adjectives": ({1}, {1}, {3, 4}, {1}),
        "modals": ({2}, {2}, {2}, {1}),
        "reports": ({2}, {2}, {2}, {1}),
        "places": ({2}, {3}, {3}, {2}),
    }
    for category, allowed_counts in counts.items():
        for entry in lexicon()[category]:
            languages = entry.en, entry.de, entry.fr, entry.zh
            for forms, allowed in zip(languages, allowed_counts, strict=True):
                assert len(forms) in allowed, entry
    for entry in lexicon()["nouns"]:
        assert entry.de[1] in "mfn" and entry.fr[1] in "mf" and entry.tags


def phrases_in(part):
    """The noun phrases of a meaning, at any depth."""
    if isinstance(part, Phrase):
        yield part
    if isinstance(part, tuple) and not isinstance(part, Entry):
        for inner in part:
            yield from phrases_in(inner)


def test_what_is_drawn_makes_sense():
    sampler = MeaningSampler(5)
    phrases = [phrase for _ in range(500) for phrase in phrases_in(sampler.sentence())]
    people = [phrase for phrase in phrases if "person" in phrase.noun.tags]
    assert {phrase.is_subject for phrase in people if phrase.relative} == {True, False}
    assert {len(phrase.adjectives) for phrase in phrases} == {0, 1, 2}
    for phrase in phrases:
        classes = [tag for a in phrase.adjectives for tag in a.tags if tag[0] == "="]
        assert len(set(classes)) == len(classes), "no big small dog"
        assert all(a.tags & phrase.noun.tags for a in phrase.adjectives)


def test_there_are_far_more_meanings_than_are_used():
    sampler = MeaningSampler(7)
    sentences = [realize(sampler.sentence(), "en") for _ in range(5000)]
    repeats = len(sentences) - len(set(sentences))  # of n draws from N, about n²/2N repeat
    assert repeats < 5000**2 / (2 * 100_000)
