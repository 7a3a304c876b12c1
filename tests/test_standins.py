"""The stand-ins: the same everywhere, correct as language, and worth learning from."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from utils.data import espeak, grammar, languages, standins
from utils.data.corpora import load_digits, load_pairs, load_reviews, load_text
from utils.data.grammar import Clause, Entry, MeaningSampler, Phrase, Sentence
from utils.data.languages import REALIZERS
from utils.data.standins import BLAME, PRAISE, SPEAKERS

ROOT = Path(__file__).resolve().parents[1]
ADJECTIVES = {*PRAISE, *BLAME}


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("LLM_BOOK_OFFLINE", "1")


# ---- text ---------------------------------------------------------------------------------------


def test_text_is_long_and_repeats_no_paragraph(offline):
    paragraphs = standins.text().split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs) > 500
    corpus = load_text()
    assert corpus.all == standins.text()
    assert len(corpus.train) > 200_000 and len(corpus.test) > 10_000
    assert set(corpus.test) - set(corpus.train) <= {c for c in corpus.test if not c.isascii()}


# ---- the grammar, sentence by sentence ----------------------------------------------------------


def word(kind, english):
    """The entry whose first English form is `english`."""
    (found,) = [entry for entry in grammar.lexicon()[kind] if entry.en[0] == english]
    return found


def place(english):
    (found,) = [entry for entry in grammar.lexicon()["places"] if entry.en[1] == english]
    return found


def time(english):
    (found,) = [entry for entry in grammar.lexicon()["times"] if " ".join(entry.en) == english]
    return found


def thing(determiner, noun, *adjectives, plural=False, **more):
    entries = tuple(word("adjectives", adjective) for adjective in adjectives)
    return Phrase(word("nouns", noun), determiner, plural, entries, **more)


def does(subject, verb, object=None, tense="present", **more):
    return Clause(subject, word("verbs", verb), tense, object, **more)


CAN = ("modals", "can")
SENTENCES = [
    (  # adjectives after ein: mixed endings; accusative masculine
        Sentence(does(thing("a", "boy", "hungry"), "see", thing("a", "dog", "small", "old"))),
        "A hungry boy sees a small old dog.",
        "Ein hungriger Junge sieht einen kleinen alten Hund.",
        "Un garçon affamé voit un petit vieux chien.",
        "一个饥饿的男孩看见一只小的老的狗。",
    ),
    (  # after der: weak; separable verb apart; contraction im
        Sentence(does(thing("the", "girl", "small"), "open", thing("the", "window", "big"),
                      place=place("garden"))),
        "The small girl opens the big window in the garden.",
        "Das kleine Mädchen macht im Garten das große Fenster auf.",
        "La petite fille ouvre la grande fenêtre dans le jardin.",
        "那个小的女孩在花园里打开那扇大的窗户。",
    ),
    (  # time in front: the verb stays second; perfect with sein; French agreement with être
        Sentence(does(thing("two", "woman", plural=True), "go", tense="past", goal=place("park"),
                      time=time("yesterday"), time_first=True)),
        "Yesterday two women went to the park.",
        "Gestern sind zwei Frauen in den Park gegangen.",
        "Hier deux femmes sont allées dans le parc.",
        "昨天两个女人去了公园。",
    ),
    (  # subordinate clause: separable verb joined at the end; weak noun; French elision
        Sentence(does(thing("a", "student"), "call", thing("this", "neighbour")),
                 reporter=thing("the", "man"), report=word("reports", "think")),
        "The man thinks that a student calls this neighbour.",
        "Der Mann glaubt, dass ein Student diesen Nachbarn anruft.",
        "L'homme croit qu'un étudiant appelle ce voisin.",
        "那个男人认为一名学生呼叫这位邻居。",
    ),
    (  # because in front: inversion in the main clause; Chinese pair of conjunctions
        Sentence(does(thing("the", "child"), "laugh"), "because",
                 does(thing("the", "cat"), "sleep", tense="past"), True),
        "Because the cat slept, the child laughs.",
        "Weil die Katze geschlafen hat, lacht das Kind.",
        "Parce que le chat a dormi, l'enfant rit.",
        "因为那只猫睡觉了，所以那个孩子笑。",
    ),
    (  # when behind; als for the past; dative plural; à + les; receiver before object in English
        Sentence(does(thing("the", "doctor"), "give", thing("a", "apple"), "past",
                      receiver=thing("the", "child", plural=True)),
                 "when", does(thing("some", "bird", plural=True), "arrive", tense="past")),
        "The doctor gave the children an apple when some birds arrived.",
        "Der Arzt hat den Kindern einen Apfel gegeben, als einige Vögel angekommen sind.",
        "Le médecin a donné une pomme aux enfants quand quelques oiseaux sont arrivés.",
        "一些鸟到达了的时候，那位医生给了那些孩子一个苹果。",
    ),
    (  # relative clause, the noun acting: verb last, commas; before the noun in Chinese
        Sentence(does(thing("the", "woman", relative=does(thing("the", "woman"), "read",
                      thing("a", "book"), place=place("library"))), "sing",
                      time=time("today"))),
        "The woman who reads a book in the library sings today.",
        "Die Frau, die in der Bibliothek ein Buch liest, singt heute.",
        "La femme qui lit un livre à la bibliothèque chante aujourd'hui.",
        "那个在图书馆里读一本书的女人今天唱歌。",
    ),
    (  # relative clause, the noun acted upon; participle agrees with it in French; modal
        Sentence(does(thing("this", "farmer"), "sell", thing("the", "flower", plural=True,
                      is_subject=False, relative=does(thing("a", "man"), "find",
                      thing("the", "flower", plural=True), "past")), word(*CAN))),
        "This farmer can sell the flowers that a man found.",
        "Dieser Bauer kann die Blumen, die ein Mann gefunden hat, verkaufen.",
        "Ce fermier peut vendre les fleurs qu'un homme a trouvées.",
        "这位农民能卖那些一个男人找到了的花。",
    ),
    (  # cet, vieil; masculine relative pronoun in the accusative; infinitive then modal
        Sentence(does(thing("this", "bird", "old", is_subject=False, relative=does(
                      thing("the", "girl", plural=True), "paint", thing("this", "bird"),
                      word("modals", "want to"))), "wait")),
        "This old bird that the girls want to paint waits.",
        "Dieser alte Vogel, den die Mädchen malen wollen, wartet.",
        "Ce vieil oiseau que les filles veulent peindre attend.",
        "这只那些女孩想画的老的鸟等待。",
    ),
    (  # an before a vowel after an adjective; -eaux; hospital; strong plural endings
        Sentence(does(thing("three", "nurse", "happy", plural=True), "buy",
                      thing("some", "hat", "new", "black", plural=True), place=place("hospital"))),
        "Three happy nurses buy some new black hats in the hospital.",
        "Drei glückliche Krankenschwestern kaufen im Krankenhaus einige neue schwarze Hüte.",
        "Trois infirmières heureuses achètent quelques nouveaux chapeaux noirs à l'hôpital.",
        "三名快乐的护士在医院里买一些新的黑色的帽子。",
    ),
    (  # genderless dative with adjective; ins; and two adjectives joined by et
        Sentence(does(thing("a", "teacher", "friendly", "old"), "send",
                      thing("a", "story", "interesting"),
                      receiver=thing("a", "singer", "tired", "young"))),
        "A friendly old teacher sends a tired young singer an interesting story.",
        "Ein freundlicher alter Lehrer schickt einer müden jungen Sängerin eine interessante "
        "Geschichte.",
        "Un vieux professeur aimable envoie une histoire intéressante à une jeune chanteuse "
        "fatiguée.",
        "一位友好的老的老师寄给一位疲惫的年轻的女歌手一个有趣的故事。",
    ),
    (  # am; the infinitive last; two French adjectives behind; modal before place in Chinese
        Sentence(does(thing("this", "boy"), "carry", thing("a", "suitcase", "heavy", "blue"),
                      word("modals", "must"), place=place("beach"))),
        "This boy must carry a heavy blue suitcase on the beach.",
        "Dieser Junge muss am Strand einen schweren blauen Koffer tragen.",
        "Ce garçon doit porter une valise lourde et bleue sur la plage.",
        "这个男孩必须在海滩上搬一个沉重的蓝色的箱子。",
    ),
    (  # ins
        Sentence(does(thing("the", "girl"), "run", goal=place("café"))),
        "The girl runs to the café.",
        "Das Mädchen läuft ins Café.",
        "La fille court dans le café.",
        "那个女孩跑去咖啡馆。",
    ),
]  # fmt: skip


@pytest.mark.parametrize("meaning, english, german, french, chinese", SENTENCES)
def test_a_meaning_is_said_right_in_every_language(meaning, english, german, french, chinese):
    assert languages.realize(meaning, "en") == english
    assert languages.realize(meaning, "de") == german
    assert languages.realize(meaning, "fr") == french
    assert languages.realize(meaning, "zh") == chinese


def test_every_word_is_complete():
    sizes = {  # forms in English, German, French, Chinese
        "nouns": ({2}, {3, 4}, {3}, {2}),
        "verbs": ({3}, {4, 5}, {5}, {1}),
        "adjectives": ({1}, {1}, {3, 4}, {1}),
        "modals": ({2}, {2}, {2}, {1}),
        "reports": ({2}, {2}, {2}, {1}),
        "places": ({2}, {3}, {3}, {2}),
    }
    for kind, expected in sizes.items():
        for entry in grammar.lexicon()[kind]:
            for forms, allowed in zip(entry, expected, strict=False):
                assert len(forms) in allowed, entry
    for entry in grammar.lexicon()["nouns"]:
        assert entry.de[1] in "mfn" and entry.fr[1] in "mf" and entry.tags


def test_what_is_drawn_makes_sense():
    speaker, phrases = MeaningSampler(5), []

    def visit(part):
        if isinstance(part, Phrase):
            phrases.append(part)
        if isinstance(part, tuple) and not isinstance(part, Entry):
            for inner in part:
                visit(inner)

    for _ in range(500):
        visit(speaker.sentence())
    people = [p for p in phrases if "person" in p.noun.tags]
    assert {p.is_subject for p in people if p.relative} == {True, False}
    assert {len(p.adjectives) for p in phrases} == {0, 1, 2}
    for phrase in phrases:
        dimensions = [tag for a in phrase.adjectives for tag in a.tags if tag[0] == "="]
        assert len(set(dimensions)) == len(dimensions), "no big small dog"
        assert all(a.tags & phrase.noun.tags for a in phrase.adjectives)


def test_no_sentence_has_a_stray_mark():
    speaker = MeaningSampler(6)
    for _ in range(1000):
        meaning = speaker.sentence()
        for language in ("de", "en", "fr"):
            text = languages.realize(meaning, language)
            assert text == " ".join(text.split()) and text[0].isupper() and text[-1] == "."
            assert not re.search(r" ,|,,|,\.|\.\.|_", text), text
        assert not re.search(r"\b[Aa] [aeio]|\ban [^aeio]", languages.realize(meaning, "en"))
        assert not re.search(
            r"\b([Ll][ea]|[Qq]ue|[Cc]e) [aeiouhéœ]|à les?\b", languages.realize(meaning, "fr")
        )
        assert (
            " " not in languages.realize(meaning, "zh")
            and languages.realize(meaning, "zh")[-1] == "。"
        )


# ---- sentence pairs -----------------------------------------------------------------------------


@pytest.mark.parametrize("source, target", [("de", "en"), ("en", "zh"), ("fr", "de")])
def test_pairs_never_overlap(source, target):
    splits = standins.pairs(source, target, sizes=(900, 50, 50))
    assert [len(split) for split in splits] == [900, 50, 50]
    for side in (0, 1):
        assert len({pair[side] for split in splits for pair in split}) == 1000
    assert splits == standins.pairs(source, target, sizes=(900, 50, 50))
    assert splits[0] != standins.pairs(source, target, sizes=(900, 50, 50), seed=1)[0]


def test_there_are_far_more_meanings_than_are_used():
    speaker = MeaningSampler(7)
    drawn = [languages.realize(speaker.sentence(), "en") for _ in range(5000)]
    repeats = len(drawn) - len(set(drawn))  # of n draws from N, about n²/2N repeat
    assert repeats < 5000**2 / (2 * 100_000)


def test_pairs_offline_come_in_every_language(offline, capsys):
    corpus = load_pairs()
    assert corpus.origin == "stand-in"
    assert [len(s) for s in (corpus.train, corpus.valid, corpus.test)] == [18000, 1000, 1000]
    for side in (0, 1):
        assert len({pair[side] for pair in corpus.all}) == 20_000
    known = [{w for pair in corpus.train for w in pair[side].split()} for side in (0, 1)]
    for side in (0, 1):
        unknown = [w for pair in corpus.test for w in pair[side].split() if w not in known[side]]
        assert len(unknown) < 10
    assert capsys.readouterr().out.count("\n") == 1
    assert set(REALIZERS) == {"de", "en", "fr", "zh"}


def test_word_order_really_differs():
    """A word-by-word translation cannot work: the German verb often ends the sentence."""
    final = [german for german, _ in standins.pairs("de", "en", sizes=(500, 1, 1))[0]]
    participles = {e.de[2] for e in grammar.lexicon()["verbs"]} | {
        e.de[1] for e in grammar.lexicon()["verbs"]
    }
    assert np.mean([text.rstrip(".").split()[-1] in participles for text in final]) > 0.2


# ---- opinions -----------------------------------------------------------------------------------


def test_opinions_are_balanced_distinct_and_hold_words_out(offline):
    corpus = load_reviews()
    assert corpus.origin == "stand-in"
    assert len({sentence for sentence, _ in corpus.all}) == len(corpus.all) == 6000
    assert 0.45 < np.mean([label for _, label in corpus.train]) < 0.55
    known = {word for sentence, _ in corpus.train for word in sentence.split()}
    unknown = {word for sentence, _ in corpus.test for word in sentence.split()} - known
    assert unknown and unknown <= ADJECTIVES


def test_labels_follow_the_last_word_but_for_the_noise():
    def meant(sentence):
        clause = sentence.split(" , ")[-1] if ", although" in sentence else sentence
        clause = clause.split(" , ")[-1] if "although" in sentence else clause.split("but ")[-1]
        words = clause.split()
        praise = [w in PRAISE for w in words if w in ADJECTIVES]
        return praise[0] != ("not" in words[:4] or "nothing" in words[:3])

    plain = [
        (s, label) for s, label in standins.reviews()[0] if s.startswith(("the", "there", "alth"))
    ]
    wrong = np.mean([meant(sentence) != label for sentence, label in plain])
    assert 0.03 < wrong < 0.07, "label noise should be about 5 %"
    clean = [
        (s, label) for s, label in standins.reviews(noise=0.0)[0] if s.startswith(("the", "alth"))
    ]
    assert [s for s, label in clean if meant(s) != label] == []


def test_but_joins_praise_and_blame():
    for sentence, _ in standins.reviews(noise=0.0)[0]:
        if " , but " in sentence and not {"not", "nothing"} & set(sentence.split()):
            praised = [w in PRAISE for w in sentence.split() if w in ADJECTIVES]
            assert sorted(praised) == [False, True], sentence


def test_bags_of_words_are_not_enough():
    """Some pairs of opinions hold the same words and disagree; order alone tells them apart."""
    labels = {}
    for sentence, label in standins.reviews(noise=0.0)[0]:
        labels.setdefault(" ".join(sorted(sentence.split())), set()).add(label)
    assert any(len(found) == 2 for found in labels.values())


# ---- spoken digits ------------------------------------------------------------------------------


def test_digits_sound_like_digits(offline):
    corpus = load_digits()
    assert corpus.origin == "stand-in"
    assert [len(s) for s in (corpus.train, corpus.valid, corpus.test)] == [2400, 300, 300]
    assert {(c.digit, c.speaker) for c in corpus.test} == {
        (digit, speaker) for digit in range(10) for speaker in SPEAKERS
    }
    for clip in corpus.all:
        assert clip.rate == 8000 and clip.samples.dtype == np.float32
        assert 0.1 < len(clip.samples) / clip.rate < 1.2
        assert 0.2 < np.abs(clip.samples).max() <= 1
    lengths = {len(c.samples) for c in corpus.all if (c.digit, c.speaker) == (3, "carl")}
    assert len(lengths) > 20, "takes should differ"


def picture(samples):
    """Log magnitudes in 20 slices of time and 16 bands."""
    slices = [s * np.hanning(len(s)) for s in np.array_split(samples, 20)]
    bands = [np.abs(np.fft.rfft(s, 256))[:128].reshape(16, 8).mean(1) for s in slices]
    return np.log(np.stack(bands) + 1e-3).ravel()


def test_a_speaker_not_heard_before_is_understood():
    clips = standins.digits(6)
    seen = [(picture(c[0]), c[2]) for c in clips if c[3] != "ewan"]
    means = np.stack([np.mean([p for p, digit in seen if digit == d], 0) for d in range(10)])
    unseen = [(picture(c[0]), c[2]) for c in clips if c[3] == "ewan"]
    hits = [np.argmin(((means - p) ** 2).sum(1)) == digit for p, digit in unseen]
    assert np.mean(hits) > 0.7, "chance is 0.1"


SPEAK = """
import hashlib, sys
from utils import standins
standins.TAKES = 2
standins.LONGEST_PATH = int(sys.argv[1])
clips = standins.digits(2)
print(hashlib.sha256(b"".join(clip[0].tobytes() for clip in clips)).hexdigest())
"""


def test_digits_are_the_same_in_every_process_and_from_a_copy_of_the_voices():
    command = [sys.executable, "-c", SPEAK]
    runs = []
    for longest in ("120", "1"):
        sleep(1.1 * len(runs))  # left alone, eSpeak NG takes its seed from the clock
        runs.append(
            subprocess.Popen(
                [*command, longest], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    results = [run.communicate(timeout=60) for run in runs]
    assert results[0][0] == results[1][0] != b"", results
    nothing = hashlib.sha256(b"").hexdigest().encode()
    assert nothing not in results[0][0]


def test_asking_twice_gives_the_same_digits_and_takes_are_a_part_of_them():
    few, many = standins.digits(1), standins.digits(3)
    assert len(few) == 60 and len(many) == 180
    few[0][0][:] = 0  # what a caller does to its samples stays with the caller
    first = [clip for clip in standins.digits(3) if clip[4] == 0]
    assert np.abs(first[0][0]).max() > 0.2
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(few[1:], first[1:], strict=True))
    with pytest.raises(ValueError, match="from 1 to 50"):
        standins.digits(0)


def test_what_espeak_reports_is_raised():
    with espeak.synthesizer() as synthesise:
        assert len(synthesise("one", "en-us+m3", 40, 150)) > 1000
        with pytest.raises(RuntimeError, match="the voice nobody"):
            synthesise("one", "nobody", 40, 150)


def test_no_setting_is_left_over_from_the_call_before():
    with espeak.synthesizer() as synthesise:
        usual = len(synthesise("seven", "en-us+m3", 40, 130))
        synthesise("seven", "en-gb-scotland+f3", 90, 300)
        again = len(synthesise("seven", "en-us+m3", 40, 130))
        fast = len(synthesise("seven", "en-us+m3", 40, 200))
    assert abs(usual - again) < 0.01 * usual
    assert fast < 0.9 * usual


def test_resampling_keeps_a_tone_and_drops_what_the_new_rate_cannot_hold():
    seconds = np.arange(22050) / 22050
    tone, shrill = (np.sin(2 * np.pi * f * seconds) for f in (440, 6000))
    expected = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    kept = standins._resample(tone, 22050, 8000)
    assert len(kept) == 8000
    assert np.abs(kept - expected)[200:-200].max() < 0.02
    assert np.abs(standins._resample(shrill, 22050, 8000))[200:-200].max() < 0.02
