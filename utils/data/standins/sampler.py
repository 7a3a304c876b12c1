"""Random meanings of sentences, for the stand-in sentence pairs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from utils.data.standins.grammar import (
    CONJUNCTIONS,
    PLURAL_DETERMINERS,
    SINGULAR_DETERMINERS,
    Clause,
    Entry,
    Phrase,
    Sentence,
    lexicon,
    matching_entries,
)

PERSON = frozenset(["person"])
ANIMATE = frozenset(["person", "animal"])
OBJECTS = frozenset("person animal thing seen text written food clothes device opens".split())
ANIMAL_VERB = frozenset("*")  # the tag of verbs whose subject may be an animal
# tags of adjectives, in the order in which adjectives precede a noun
ADJECTIVE_CLASSES = ("=opinion", "=size", "=state", "=age", "=colour")

Choice = TypeVar("Choice")


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
        """Draw a noun phrase.

        Parameters
        ----------
        tags
            The tags of which the noun has at least one.
        allow_relative
            Whether the phrase may have a relative clause.

        Returns
        -------
        phrase : Phrase
            The noun phrase.
        """
        noun = self.pick(matching_entries("nouns", tags))
        plural = self.chance(0.3)
        determiner = self.pick(PLURAL_DETERMINERS if plural else SINGULAR_DETERMINERS)
        phrase = Phrase(noun, determiner, plural, self.adjectives(noun))
        return self.with_relative(phrase) if allow_relative and self.chance(0.2) else phrase

    def adjectives(self, noun: Entry) -> tuple[Entry, ...]:
        """Draw up to two adjectives for a noun, in their order and of different classes."""
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
        """Draw a clause with this subject.

        Parameters
        ----------
        subject, tense
            The subject of the clause, and its tense or modal verb.
        is_main
            False for a relative clause, which contains no other and does not begin with the time.
        verb, direct_object
            The verb and its direct object; drawn if None.

        Returns
        -------
        clause : Clause
            Phrases for all grammatical roles that the verb needs.
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

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Draw one of the choices; unlike Random.choice, the same in every version of Python."""
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
