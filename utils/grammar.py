"""A synchronous grammar, first half: meanings, drawn at random.

The stand-in for sentence pairs where no network is (``utils.standins``); ``utils.languages`` says a
meaning in English, German, French or Chinese. The words are in ``lexicon.json``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
SINGULAR = ("the", "a", "this")
PLURAL = ("the", "these", "two", "three", "some")
LINKS = ("because", "when", "although")
PEOPLE = frozenset(["person"])
ACTORS = frozenset(["person", "animal"])
ANIMALS_CAN = frozenset("*")
DIMENSIONS = ("=opinion", "=size", "=state", "=age", "=colour")
THINGS = frozenset("person animal thing seen text written food clothes device opens".split())


class Entry(NamedTuple):
    """A word in the four languages: each a tuple of forms; `tags` say what it goes with."""

    en: tuple[str, ...]
    de: tuple[str, ...]
    fr: tuple[str, ...]
    zh: tuple[str, ...]
    tags: frozenset[str]


class Phrase(NamedTuple):
    """A noun phrase; `relative` is a clause in which it is the subject or, else, the object."""

    noun: Entry
    determiner: str
    plural: bool
    adjectives: tuple[Entry, ...] = ()
    relative: Clause | None = None
    is_subject: bool = True


class Clause(NamedTuple):
    """Who does what, to whom, where, when. `tense` is "present", "past" or a modal verb."""

    subject: Phrase
    verb: Entry
    tense: str | Entry
    thing: Phrase | None = None
    receiver: Phrase | None = None
    goal: Entry | None = None
    place: Entry | None = None
    time: Entry | None = None
    time_first: bool = False


class Sentence(NamedTuple):
    """A clause, alone, or with "because …" (before or after it), or reported by someone."""

    main: Clause
    link: str | None = None
    other: Clause | None = None
    other_first: bool = False
    reporter: Phrase | None = None
    report: Entry | None = None


@cache
def lexicon() -> dict[str, list[Entry]]:
    """Kind of word → its entries."""
    path = Path(__file__).parent / "lexicon.json"
    return {
        kind: [_entry(line) for line in lines]
        for kind, lines in json.loads(path.read_text(encoding="utf-8")).items()
    }


def _entry(line: str) -> Entry:
    columns = [
        tuple(column.replace("_", " ") for column in part.split()) for part in line.split("|")
    ]
    columns += [()] * (5 - len(columns))
    return Entry(*columns[:4], frozenset(columns[4]))


@cache
def fitting(kind: str, tags: frozenset[str]) -> tuple[Entry, ...]:
    """The entries of a kind that have one of `tags`."""
    return tuple(entry for entry in lexicon()[kind] if entry.tags & tags)


class Speaker:
    """Draws meanings; the same seed gives the same ones on every machine and Python."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.random.random() * len(choices))]

    def sentence(self) -> Sentence:
        """A meaning of one or two clauses."""
        tense = self.tense()
        main = self.clause(self.phrase(ACTORS), tense)
        if self.chance(0.2):
            reporter, report = self.phrase(PEOPLE), self.pick(lexicon()["reports"])
            return Sentence(main._replace(time_first=False), reporter=reporter, report=report)
        if self.chance(0.75):
            return Sentence(main)
        other_tense = self.tense()
        if "past" in (tense, other_tense):  # "when" joins like with like
            other_tense = tense
        other = self.clause(self.phrase(ACTORS), other_tense)._replace(time_first=False)
        first = self.chance(0.5)
        main = main._replace(time_first=main.time_first and not first)
        return Sentence(main, self.pick(LINKS), other, first)

    def tense(self) -> str | Entry:
        return self.pick(("present", "present", "past", "past", self.pick(lexicon()["modals"])))

    def phrase(self, tags: frozenset[str], inner: bool = False) -> Phrase:
        """A noun phrase whose noun has one of `tags`; `inner`: without a relative clause."""
        noun = self.pick(fitting("nouns", tags))
        plural = self.chance(0.3)
        determiner = self.pick(PLURAL if plural else SINGULAR)
        phrase = Phrase(noun, determiner, plural, self.adjectives(noun))
        return phrase if inner or not self.chance(0.2) else self.with_relative(phrase)

    def adjectives(self, noun: Entry) -> tuple[Entry, ...]:
        """None to two, never two colours or two sizes (tags that begin with =), in their order."""
        choices = fitting("adjectives", noun.tags)
        if not choices:
            return ()
        found = {}
        for _ in range(self.pick((0, 0, 1, 2))):
            entry = self.pick(choices)
            found[next(tag for tag in entry.tags if tag[0] == "=")] = entry
        return tuple(found[dimension] for dimension in DIMENSIONS if dimension in found)

    def with_relative(self, phrase: Phrase) -> Phrase:
        """Add a relative clause in which the noun acts or is acted upon."""
        tags = phrase.noun.tags
        if tags & ACTORS and self.chance(0.7):
            return phrase._replace(relative=self.clause(phrase, self.tense(), inner=True))
        verb = self.pick([v for v in fitting("verbs", tags) if ">person" not in v.tags])
        clause = self.clause(self.phrase(PEOPLE, True), self.tense(), True, verb, phrase)
        return phrase._replace(relative=clause, is_subject=False)

    def clause(
        self,
        subject: Phrase,
        tense: str | Entry,
        inner: bool = False,
        verb: Entry | None = None,
        thing: Phrase | None = None,
    ) -> Clause:
        """What `subject` does; `verb` and `thing`, the object, are drawn unless given."""
        if verb is None:
            person = "person" in subject.noun.tags
            verb = self.pick(lexicon()["verbs"] if person else fitting("verbs", ANIMALS_CAN))
        if thing is None and verb.tags & THINGS:
            thing = self.phrase(verb.tags & THINGS, inner)
        receiver = self.phrase(PEOPLE, True) if ">person" in verb.tags else None
        where = self.pick(lexicon()["places"])
        goal = where if "place" in verb.tags else None
        place = where if goal is None and self.chance(0.35) else None
        name = tense if isinstance(tense, str) else "modal"
        time = self.pick(fitting("times", frozenset([name]))) if self.chance(0.35) else None
        time_first = time is not None and not inner and self.chance(0.5)
        return Clause(subject, verb, tense, thing, receiver, goal, place, time, time_first)
