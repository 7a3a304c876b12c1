"""The four languages: a meaning is expressed correctly in each of them, sentence by sentence."""

import re

import pytest

from utils.data.standins.grammar import Clause, Phrase, Sentence, lexicon
from utils.data.standins.pairs import realize
from utils.data.standins.sampler import MeaningSampler


def word(category, english):
    """The entry of the lexicon whose first English form is `english`."""
    (entry,) = [entry for entry in lexicon()[category] if entry.en[0] == english]
    return entry


def landmark(english):
    (entry,) = [entry for entry in lexicon()["places"] if entry.en[1] == english]
    return entry


def time(english):
    (entry,) = [entry for entry in lexicon()["times"] if " ".join(entry.en) == english]
    return entry


def phrase(determiner, noun, *adjectives, plural=False, **more):
    entries = tuple(word("adjectives", adjective) for adjective in adjectives)
    return Phrase(word("nouns", noun), determiner, plural, entries, **more)


def clause(subject, verb, direct_object=None, tense="present", **more):
    return Clause(subject, word("verbs", verb), tense, direct_object, **more)


CAN = ("modals", "can")
SENTENCES = [
    (  # adjectives after ein: mixed endings; accusative masculine
        Sentence(clause(phrase("a", "boy", "hungry"), "see", phrase("a", "dog", "small", "old"))),
        "A hungry boy sees a small old dog.",
        "Ein hungriger Junge sieht einen kleinen alten Hund.",
        "Un garçon affamé voit un petit vieux chien.",
        "一个饥饿的男孩看见一只小的老的狗。",
    ),
    (  # after der: weak; separable verb apart; contraction im
        Sentence(
            clause(
                phrase("the", "girl", "small"),
                "open",
                phrase("the", "window", "big"),
                location=landmark("garden"),
            )
        ),
        "The small girl opens the big window in the garden.",
        "Das kleine Mädchen macht im Garten das große Fenster auf.",
        "La petite fille ouvre la grande fenêtre dans le jardin.",
        "那个小的女孩在花园里打开那扇大的窗户。",
    ),
    (  # time in front: the verb stays second; perfect with sein; French agreement with être
        Sentence(
            clause(
                phrase("two", "woman", plural=True),
                "go",
                tense="past",
                destination=landmark("park"),
                time=time("yesterday"),
                time_first=True,
            )
        ),
        "Yesterday two women went to the park.",
        "Gestern sind zwei Frauen in den Park gegangen.",
        "Hier deux femmes sont allées dans le parc.",
        "昨天两个女人去了公园。",
    ),
    (  # subordinate clause: separable verb joined at the end; weak noun; French elision
        Sentence(
            clause(phrase("a", "student"), "call", phrase("this", "neighbour")),
            reporter=phrase("the", "man"),
            reporting_verb=word("reports", "think"),
        ),
        "The man thinks that a student calls this neighbour.",
        "Der Mann glaubt, dass ein Student diesen Nachbarn anruft.",
        "L'homme croit qu'un étudiant appelle ce voisin.",
        "那个男人认为一名学生呼叫这位邻居。",
    ),
    (  # because in front: inversion in the main clause; Chinese pair of conjunctions
        Sentence(
            clause(phrase("the", "child"), "laugh"),
            "because",
            clause(phrase("the", "cat"), "sleep", tense="past"),
            True,
        ),
        "Because the cat slept, the child laughs.",
        "Weil die Katze geschlafen hat, lacht das Kind.",
        "Parce que le chat a dormi, l'enfant rit.",
        "因为那只猫睡觉了，所以那个孩子笑。",
    ),
    (  # when behind; als for the past; dative plural; à + les; receiver before object in English
        Sentence(
            clause(
                phrase("the", "doctor"),
                "give",
                phrase("a", "apple"),
                "past",
                recipient=phrase("the", "child", plural=True),
            ),
            "when",
            clause(phrase("some", "bird", plural=True), "arrive", tense="past"),
        ),
        "The doctor gave the children an apple when some birds arrived.",
        "Der Arzt hat den Kindern einen Apfel gegeben, als einige Vögel angekommen sind.",
        "Le médecin a donné une pomme aux enfants quand quelques oiseaux sont arrivés.",
        "一些鸟到达了的时候，那位医生给了那些孩子一个苹果。",
    ),
    (  # relative clause, the noun acting: verb last, commas; before the noun in Chinese
        Sentence(
            clause(
                phrase(
                    "the",
                    "woman",
                    relative=clause(
                        phrase("the", "woman"),
                        "read",
                        phrase("a", "book"),
                        location=landmark("library"),
                    ),
                ),
                "sing",
                time=time("today"),
            )
        ),
        "The woman who reads a book in the library sings today.",
        "Die Frau, die in der Bibliothek ein Buch liest, singt heute.",
        "La femme qui lit un livre à la bibliothèque chante aujourd'hui.",
        "那个在图书馆里读一本书的女人今天唱歌。",
    ),
    (  # relative clause, the noun acted upon; participle agrees with it in French; modal
        Sentence(
            clause(
                phrase("this", "farmer"),
                "sell",
                phrase(
                    "the",
                    "flower",
                    plural=True,
                    is_subject=False,
                    relative=clause(
                        phrase("a", "man"), "find", phrase("the", "flower", plural=True), "past"
                    ),
                ),
                word(*CAN),
            )
        ),
        "This farmer can sell the flowers that a man found.",
        "Dieser Bauer kann die Blumen, die ein Mann gefunden hat, verkaufen.",
        "Ce fermier peut vendre les fleurs qu'un homme a trouvées.",
        "这位农民能卖那些一个男人找到了的花。",
    ),
    (  # cet, vieil; masculine relative pronoun in the accusative; infinitive then modal
        Sentence(
            clause(
                phrase(
                    "this",
                    "bird",
                    "old",
                    is_subject=False,
                    relative=clause(
                        phrase("the", "girl", plural=True),
                        "paint",
                        phrase("this", "bird"),
                        word("modals", "want to"),
                    ),
                ),
                "wait",
            )
        ),
        "This old bird that the girls want to paint waits.",
        "Dieser alte Vogel, den die Mädchen malen wollen, wartet.",
        "Ce vieil oiseau que les filles veulent peindre attend.",
        "这只那些女孩想画的老的鸟等待。",
    ),
    (  # an before a vowel after an adjective; -eaux; hospital; strong plural endings
        Sentence(
            clause(
                phrase("three", "nurse", "happy", plural=True),
                "buy",
                phrase("some", "hat", "new", "black", plural=True),
                location=landmark("hospital"),
            )
        ),
        "Three happy nurses buy some new black hats in the hospital.",
        "Drei glückliche Krankenschwestern kaufen im Krankenhaus einige neue schwarze Hüte.",
        "Trois infirmières heureuses achètent quelques nouveaux chapeaux noirs à l'hôpital.",
        "三名快乐的护士在医院里买一些新的黑色的帽子。",
    ),
    (  # genderless dative with adjective; ins; and two adjectives joined by et
        Sentence(
            clause(
                phrase("a", "teacher", "friendly", "old"),
                "send",
                phrase("a", "story", "interesting"),
                recipient=phrase("a", "singer", "tired", "young"),
            )
        ),
        "A friendly old teacher sends a tired young singer an interesting story.",
        (
            "Ein freundlicher alter Lehrer schickt einer müden jungen Sängerin eine interessante "
            "Geschichte."
        ),
        (
            "Un vieux professeur aimable envoie une histoire intéressante à une jeune chanteuse "
            "fatiguée."
        ),
        "一位友好的老的老师寄给一位疲惫的年轻的女歌手一个有趣的故事。",
    ),
    (  # am; the infinitive last; two French adjectives behind; modal before place in Chinese
        Sentence(
            clause(
                phrase("this", "boy"),
                "carry",
                phrase("a", "suitcase", "heavy", "blue"),
                word("modals", "must"),
                location=landmark("beach"),
            )
        ),
        "This boy must carry a heavy blue suitcase on the beach.",
        "Dieser Junge muss am Strand einen schweren blauen Koffer tragen.",
        "Ce garçon doit porter une valise lourde et bleue sur la plage.",
        "这个男孩必须在海滩上搬一个沉重的蓝色的箱子。",
    ),
    (  # ins
        Sentence(clause(phrase("the", "girl"), "run", destination=landmark("café"))),
        "The girl runs to the café.",
        "Das Mädchen läuft ins Café.",
        "La fille court dans le café.",
        "那个女孩跑去咖啡馆。",
    ),
]


@pytest.mark.parametrize("meaning, english, german, french, chinese", SENTENCES)
def test_a_meaning_is_said_right_in_every_language(meaning, english, german, french, chinese):
    assert realize(meaning, "en") == english
    assert realize(meaning, "de") == german
    assert realize(meaning, "fr") == french
    assert realize(meaning, "zh") == chinese


def test_no_sentence_has_a_stray_mark():
    sampler = MeaningSampler(6)
    for _ in range(1000):
        meaning = sampler.sentence()
        for language in ("de", "en", "fr"):
            text = realize(meaning, language)
            assert text == " ".join(text.split()) and text[0].isupper() and text[-1] == "."
            assert not re.search(r" ,|,,|,\.|\.\.|_", text), text
        english, french, chinese = (realize(meaning, language) for language in ("en", "fr", "zh"))
        assert not re.search(r"\b[Aa] [aeio]|\ban [^aeio]", english)
        assert not re.search(r"\b([Ll][ea]|[Qq]ue|[Cc]e) [aeiouhéœ]|à les?\b", french)
        assert " " not in chinese and chinese[-1] == "。"
