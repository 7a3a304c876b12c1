"""Realization of meanings in English, for the stand-in sentence pairs.

In the lexicon, a noun has its singular and plural; a verb has its base form, third person singular
and past tense.
"""

from __future__ import annotations

import re

from utils.data.standins.grammar import (
    Clause,
    Entry,
    Phrase,
    Realizer,
    Sentence,
    punctuate,
)


class English(Realizer):
    """Expresses meanings in English: agreement, a or an, the indirect object before the direct."""

    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence as text."""
        words = self.clause(sentence.main)
        if sentence.reporter and sentence.reporting_verb:
            says = sentence.reporting_verb.en[not sentence.reporter.plural]
            words = [*self.phrase(sentence.reporter), says, "that", *words]
        elif sentence.conjunction and sentence.subordinate:
            subordinate = [sentence.conjunction, *self.clause(sentence.subordinate)]
            first = sentence.subordinate_first
            words = [*subordinate, ",", *words] if first else [*words, *subordinate]
        return re.sub(r"\b([Aa])(?= [aeio])", r"\1n", punctuate(words))

    def clause(self, clause: Clause, gap: Phrase | None = None) -> list[str]:
        """Return the words of a clause.

        Parameters
        ----------
        clause
            The grammatical roles and their phrases, without word order.
        gap
            The phrase to which it is relative, if any.

        Returns
        -------
        words : list of str
            The words in order.
        """
        subject, direct_object = clause.arguments(gap)
        time = list(clause.time.en) if clause.time else []
        before, after = (time, []) if clause.time_first else ([], time)
        words = [*before, *self.phrase(subject), self.verb(clause)]
        words += [*self.phrase(clause.recipient), *self.phrase(direct_object)]
        words += ["to", "the", clause.destination.en[-1]] if clause.destination else []
        return [*words, *self.location(clause.location), *after]

    def phrase(self, phrase: Phrase | None) -> list[str]:
        """Return the words of a noun phrase; none for None."""
        if phrase is None:
            return []
        adjectives = [adjective.en[0] for adjective in phrase.adjectives]
        words = [phrase.determiner, *adjectives, phrase.noun.en[phrase.plural]]
        if phrase.relative:
            pronoun = "who" if "person" in phrase.noun.tags else "that"
            words += [pronoun, *self.clause(phrase.relative, phrase)]
        return words

    def location(self, location: Entry | None) -> list[str]:
        """Return "in the park" or the like; nothing for None."""
        if location is None:
            return []
        preposition, noun = location.en
        is_idiom = (preposition, noun) == ("at", "school")
        return [preposition, noun] if is_idiom else [preposition, "the", noun]

    def verb(self, clause: Clause) -> str:
        """Return the finite verb, with its infinitive after a modal verb."""
        base, third_person, past = clause.verb.en
        if isinstance(clause.tense, Entry):
            return f"{clause.tense.en[not clause.subject.plural]} {base}"
        if clause.tense == "past":
            return past
        return base if clause.subject.plural else third_person
