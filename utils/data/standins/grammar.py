"""Core of a synchronous grammar: the meanings of sentences, the lexicon, and the base of languages.

``utils.data.standins.sampler`` draws meanings, which are independent of any language. A `Realizer`
expresses them in one language: English, German, French or Chinese. The vocabulary is
in ``lexicon.json``.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import NamedTuple

SINGULAR_DETERMINERS = ("the", "a", "this")
PLURAL_DETERMINERS = ("the", "these", "two", "three", "some")
CONJUNCTIONS = ("because", "when", "although")


class Entry(NamedTuple):
    """A word of the lexicon in the four languages.

    Parameters
    ----------
    en, de, fr, zh
        The word's forms in each language, with gender, auxiliary or classifier where it has one;
        the order of the forms depends on the category of the word.
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
        The head of the phrase, an entry of the lexicon.
    determiner
        In English: one of SINGULAR_DETERMINERS or PLURAL_DETERMINERS.
    plural
        Whether the noun is plural.
    adjectives
        The adjectives in English order.
    relative
        A relative clause that contains the phrase itself, without this clause.
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
    """A subject, its verb, and the complements of the verb.

    Parameters
    ----------
    subject, verb
        The subject and its verb.
    tense
        "present", "past", or a modal verb that governs `verb`.
    direct_object, recipient
        The direct object, and the person to whom the action is directed.
    destination, location
        Where the subject goes, and where the action happens.
    time
        When it happens.
    time_first
        Whether the clause begins with the time.
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

        Parameters
        ----------
        gap
            The phrase that a relative clause modifies and does not repeat.

        Returns
        -------
        subject, direct_object : Phrase or None
            None for the gap and for a missing direct object.
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


class Realizer(ABC):
    """Expresses meanings in one language."""

    @abstractmethod
    def sentence(self, sentence: Sentence) -> str:
        """Return the text of a sentence."""


def punctuate(words: list[str]) -> str:
    """Join words to a sentence: no spaces before commas, no double commas, capital, full stop."""
    text = re.sub(r" (?=,)", "", " ".join(word for word in words if word))
    text = re.sub(r",+(?=,|$)", "", text)
    return text[0].upper() + text[1:] + "."
