"""Random meanings: the language-independent half of a synchronous grammar.

Together with ``utils.data.languages``, which expresses a meaning in English, German, French or
Chinese, it makes the sentence pairs that stand in for a parallel corpus where there is no network
(``utils.data.standins``). The vocabulary is in ``lexicon.json``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

SINGULAR_DETERMINERS = ("the", "a", "this")
PLURAL_DETERMINERS = ("the", "these", "two", "three", "some")
CONJUNCTIONS = ("because", "when", "although")
PERSON = frozenset(["person"])
ANIMATE = frozenset(["person", "animal"])
OBJECTS = frozenset("person animal thing seen text written food clothes device opens".split())
ANIMAL_VERB = frozenset("*")  # the tag of verbs whose subject may be an animal
# tags of adjectives, in the order in which adjectives precede a noun
ADJECTIVE_CLASSES = ("=opinion", "=size", "=state", "=age", "=colour")


class Entry(NamedTuple):
    """A word of the lexicon in the four languages.

    Parameters
    ----------
    en, de, fr, zh
        The word's forms in each language, with gender, auxiliary or classifier where it has one;
        which form stands at which index depends on the category of word.
    tags
        The classes of meaning to which the word belongs, or with which it can be combined.
    """

    en: tuple[str, ...]
    de: tuple[str, ...]
    fr: tuple[str, ...]
    zh: tuple[str, ...]
    tags: frozenset[str]


class Phrase(NamedTuple):
    """A noun phrase.

    Parameters
    ----------
    noun
        The noun.
    determiner
        In English: one of SINGULAR_DETERMINERS or PLURAL_DETERMINERS.
    plural
        Whether the noun is plural.
    adjectives
        The adjectives in English order.
    relative
        A relative clause, which contains the phrase without this clause.
    is_subject
        Whether the noun is the subject of its relative clause; else it is the direct object.
    """

    noun: Entry
    determiner: str
    plural: bool
    adjectives: tuple[Entry, ...] = ()
    relative: Clause | None = None
    is_subject: bool = True


class Clause(NamedTuple):
    """A subject, its verb, and what the verb is about.

    Parameters
    ----------
    subject, verb
        Who acts, and how.
    tense
        "present", "past", or a modal verb, whose infinitive `verb` then is.
    direct_object, recipient
        What the action concerns, and the person to whom it is directed.
    destination, location
        To where the subject moves, and where the action happens.
    time
        When it happens.
    time_first
        Whether the time opens the clause.
    """

    subject: Phrase
    verb: Entry
    tense: str | Entry
    direct_object: Phrase | None = None
    recipient: Phrase | None = None
    destination: Entry | None = None
    location: Entry | None = None
    time: Entry | None = None
    time_first: bool = False

    def arguments(self, gap: Phrase | None = None) -> tuple[Phrase | None, Phrase | None]:
        """Return the subject and the direct object that the clause has to express.

        In a relative clause, `gap` is the phrase to which it is relative, and which it therefore
        does not repeat.
        """
        subject = None if gap and gap.is_subject else self.subject
        direct_object = None if gap and not gap.is_subject else self.direct_object
        return subject, direct_object


class Sentence(NamedTuple):
    """A main clause, alone, with a subordinate clause, or reported by someone.

    Parameters
    ----------
    main
        The main clause; if there is a reporter, the clause that is reported.
    conjunction, subordinate
        One of CONJUNCTIONS and the clause that it introduces, or None.
    subordinate_first
        Whether the subordinate clause precedes the main clause.
    reporter, reporting_verb
        The subject and the verb of "the man says that …", or None.
    """

    main: Clause
    conjunction: str | None = None
    subordinate: Clause | None = None
    subordinate_first: bool = False
    reporter: Phrase | None = None
    reporting_verb: Entry | None = None


@cache
def lexicon() -> dict[str, list[Entry]]:
    """Return the entries of each category: nouns, verbs, adjectives, modals, times and so on."""
    path = Path(__file__).parent / "lexicon.json"
    lines_of_category = json.loads(path.read_text(encoding="utf-8"))
    return {
        category: [_parse_entry(line) for line in lines]
        for category, lines in lines_of_category.items()
    }


def _parse_entry(line: str) -> Entry:
    """Parse "English | German | French | Chinese | tags"; underscores are spaces within a form."""
    columns = [
        tuple(form.replace("_", " ") for form in column.split()) for column in line.split("|")
    ]
    columns += [()] * (5 - len(columns))
    en, de, fr, zh, tags = columns
    return Entry(en, de, fr, zh, frozenset(tags))


@cache
def matching_entries(category: str, tags: frozenset[str]) -> tuple[Entry, ...]:
    """Return the entries of a category that have at least one of the tags."""
    return tuple(entry for entry in lexicon()[category] if entry.tags & tags)


class MeaningSampler:
    """Draws random meanings; one seed gives the same meanings on every machine.

    Parameters
    ----------
    seed
        The seed of the sampler's random number generator.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def sentence(self) -> Sentence:
        """Draw the meaning of a sentence of one or two clauses."""
        tense = self.tense()
        main = self.clause(self.phrase(ANIMATE), tense)
        if self.chance(0.2):
            reporter, verb = self.phrase(PERSON), self.pick(lexicon()["reports"])
            main = main._replace(time_first=False)
            return Sentence(main, reporter=reporter, reporting_verb=verb)
        if self.chance(0.75):
            return Sentence(main)
        subordinate_tense = self.tense()
        if "past" in (tense, subordinate_tense):  # "when" joins only clauses of one tense
            subordinate_tense = tense
        subordinate = self.clause(self.phrase(ANIMATE), subordinate_tense)
        subordinate = subordinate._replace(time_first=False)
        subordinate_first = self.chance(0.5)
        main = main._replace(time_first=main.time_first and not subordinate_first)
        return Sentence(main, self.pick(CONJUNCTIONS), subordinate, subordinate_first)

    def tense(self) -> str | Entry:
        """Draw "present", "past" or a modal verb."""
        modal = self.pick(lexicon()["modals"])
        tenses: tuple[str | Entry, ...] = ("present", "present", "past", "past", modal)
        return self.pick(tenses)

    def phrase(self, tags: frozenset[str], *, allow_relative: bool = True) -> Phrase:
        """Draw a noun phrase whose noun has one of `tags`, perhaps with a relative clause."""
        noun = self.pick(matching_entries("nouns", tags))
        plural = self.chance(0.3)
        determiner = self.pick(PLURAL_DETERMINERS if plural else SINGULAR_DETERMINERS)
        phrase = Phrase(noun, determiner, plural, self.adjectives(noun))
        return self.with_relative(phrase) if allow_relative and self.chance(0.2) else phrase

    def adjectives(self, noun: Entry) -> tuple[Entry, ...]:
        """Draw up to two adjectives for a noun, in their order, never two of one class."""
        candidates = matching_entries("adjectives", noun.tags)
        if not candidates:
            return ()
        chosen: dict[str, Entry] = {}
        for _ in range(self.pick((0, 0, 1, 2))):
            entry = self.pick(candidates)
            chosen[next(tag for tag in entry.tags if tag in ADJECTIVE_CLASSES)] = entry
        return tuple(chosen[name] for name in ADJECTIVE_CLASSES if name in chosen)

    def with_relative(self, phrase: Phrase) -> Phrase:
        """Add a relative clause whose subject or direct object is the phrase."""
        tags = phrase.noun.tags
        if tags & ANIMATE and self.chance(0.7):
            relative = self.clause(phrase, self.tense(), is_main=False)
            return phrase._replace(relative=relative)
        verbs = [verb for verb in matching_entries("verbs", tags) if ">person" not in verb.tags]
        verb = self.pick(verbs)
        subject = self.phrase(PERSON, allow_relative=False)
        relative = self.clause(
            subject, self.tense(), is_main=False, verb=verb, direct_object=phrase
        )
        return phrase._replace(relative=relative, is_subject=False)

    def clause(
        self,
        subject: Phrase,
        tense: str | Entry,
        *,
        is_main: bool = True,
        verb: Entry | None = None,
        direct_object: Phrase | None = None,
    ) -> Clause:
        """Draw what a subject does.

        Parameters
        ----------
        subject, tense
            The clause's subject, and its tense or modal verb.
        is_main
            False for a relative clause, which holds no other and does not begin with the time.
        verb, direct_object
            Drawn, if they are not given.

        Returns
        -------
        Clause
            The meaning of the clause.
        """
        if verb is None:
            verb = self.pick(_verbs_for(subject))
        if direct_object is None and verb.tags & OBJECTS:
            direct_object = self.phrase(verb.tags & OBJECTS, allow_relative=is_main)
        to_person = ">person" in verb.tags
        recipient = self.phrase(PERSON, allow_relative=False) if to_person else None
        landmark = self.pick(lexicon()["places"])
        destination = landmark if "place" in verb.tags else None
        location = landmark if destination is None and self.chance(0.35) else None
        time = self.pick(_times_for(tense)) if self.chance(0.35) else None
        time_first = time is not None and is_main and self.chance(0.5)
        return Clause(
            subject, verb, tense, direct_object, recipient, destination, location, time, time_first
        )

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """Draw one of the choices; unlike Random.choice, alike in every version of Python."""
        return choices[int(self.rng.random() * len(choices))]


def _verbs_for(subject: Phrase) -> Sequence[Entry]:
    """Return the verbs that a subject can have."""
    if "person" in subject.noun.tags:
        return lexicon()["verbs"]
    return matching_entries("verbs", ANIMAL_VERB)


def _times_for(tense: str | Entry) -> Sequence[Entry]:
    """Return the times that agree with a tense."""
    name = tense if isinstance(tense, str) else "modal"
    return matching_entries("times", frozenset([name]))
