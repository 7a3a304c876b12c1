"""Realization of meanings in French, for the stand-in sentence pairs.

In the lexicon, a noun has its singular, gender (m, f) and plural; an adjective has its masculine
and feminine, its position (before or after the noun) and, if it differs, its masculine before a
vowel; a verb has its third person singular and plural, infinitive, participle and auxiliary.
"""

from __future__ import annotations

import re
from typing import ClassVar

from utils.data.standins.grammar import (
    Clause,
    Entry,
    Phrase,
    Realizer,
    Sentence,
    punctuate,
)


class French(Realizer):
    """Expresses meanings in French: agreement, adjectives on both sides, elision, contraction."""

    # masculine, feminine, plural
    ARTICLES: ClassVar = {
        "the": ("le", "la", "les"),
        "a": ("un", "une"),
        "this": ("ce", "cette"),
        "these": ("ces", "ces", "ces"),
    }
    QUANTIFIERS: ClassVar = {"two": "deux", "three": "trois", "some": "quelques"}
    CONJUNCTIONS: ClassVar = {"because": "parce que", "when": "quand", "although": "même si"}
    BEFORE_VOWEL = "(?=[aeiouyhéèêœâ])"

    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence as text."""
        words = self.clause(sentence.main)
        if sentence.reporter and sentence.reporting_verb:
            says = sentence.reporting_verb.fr[sentence.reporter.plural]
            words = [*self.phrase(sentence.reporter), says, "que", *words]
        elif sentence.conjunction and sentence.subordinate:
            conjunction = self.CONJUNCTIONS[sentence.conjunction]
            subordinate = [conjunction, *self.clause(sentence.subordinate)]
            first = sentence.subordinate_first
            words = [*subordinate, ",", *words] if first else [*words, *subordinate]
        return punctuate(self.elide(" ".join(words)).split())

    def elide(self, text: str) -> str:
        """Return a text with elision (l', qu'), the form "cet", and the contractions au and aux."""
        vowel = self.BEFORE_VOWEL
        text = re.sub(rf"\b(l)[ea] {vowel}|\b(qu)e {vowel}", r"\1\2'", text)
        text = re.sub(rf"\bce {vowel}", "cet ", text)
        return re.sub(r"\bà le\b(?!')", "au", re.sub(r"\bà les\b", "aux", text))

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
        preceding_object = gap if gap and not gap.is_subject else None
        time = list(clause.time.fr) if clause.time else []
        before, after = (time, []) if clause.time_first else ([], time)
        words = [*before, *self.phrase(subject), *self.verb(clause, preceding_object)]
        words += self.phrase(direct_object)
        words += ["à", *self.phrase(clause.recipient)] if clause.recipient else []
        return [*words, *self.location(clause.destination or clause.location), *after]

    def verb(self, clause: Clause, preceding_object: Phrase | None) -> list[str]:
        """Return the verb; a participle agrees with the subject or with an object before it.

        Parameters
        ----------
        clause
            The clause, which has the tense and the subject.
        preceding_object
            A direct object before the verb, with which a participle agrees.

        Returns
        -------
        words : list of str
            The words in order.
        """
        singular, plural, infinitive, participle, auxiliary = clause.verb.fr
        subject = clause.subject
        if isinstance(clause.tense, Entry):
            return [clause.tense.fr[subject.plural], infinitive]
        if clause.tense == "present":
            return [plural if subject.plural else singular]
        controller = subject if auxiliary == "est" else preceding_object
        if controller:
            is_feminine = controller.noun.fr[1] == "f"
            participle = self.agree(participle, feminine=is_feminine, plural=controller.plural)
        return [{"a": "ont", "est": "sont"}[auxiliary] if subject.plural else auxiliary, participle]

    def phrase(self, phrase: Phrase | None) -> list[str]:
        """Return the words of a noun phrase; none for None."""
        if phrase is None:
            return []
        words = [phrase.noun.fr[2 if phrase.plural else 0]]
        before = [entry for entry in phrase.adjectives if entry.fr[2] == "before"]
        for entry in reversed(before):
            words = [self.adjective(entry, phrase, words[0]), *words]
        after = [entry for entry in phrase.adjectives if entry.fr[2] == "after"]
        words += " et ".join(self.adjective(entry, phrase, "") for entry in after).split()
        if phrase.relative:
            pronoun = "qui" if phrase.is_subject else "que"
            words += [pronoun, *self.clause(phrase.relative, phrase)]
        return [self.article(phrase), *words]

    def article(self, phrase: Phrase) -> str:
        """Return the determiner."""
        if phrase.determiner in self.QUANTIFIERS:
            return self.QUANTIFIERS[phrase.determiner]
        column = 2 if phrase.plural else "mf".index(phrase.noun.fr[1])
        return self.ARTICLES[phrase.determiner][column]

    def adjective(self, entry: Entry, phrase: Phrase, next_word: str) -> str:
        """Return an adjective in the gender and number of a phrase, and for the next word."""
        masculine, feminine, _, *before_vowel = entry.fr
        if phrase.noun.fr[1] == "f":
            return feminine + "s" * phrase.plural
        if phrase.plural:
            irregular = masculine.endswith("eau")
            return masculine + "x" if irregular else self.agree(masculine, plural=True)
        use_vowel_form = before_vowel and re.match(self.BEFORE_VOWEL, next_word)
        return before_vowel[0] if use_vowel_form else masculine

    def agree(self, word: str, *, feminine: bool = False, plural: bool = False) -> str:
        """Add the endings e and s to a word in the masculine singular."""
        word += "e" if feminine else ""
        return word + "s" if plural and word[-1] not in "sx" else word

    def location(self, location: Entry | None) -> list[str]:
        """Return a location or a destination, which have the same form; nothing for None."""
        if location is None:
            return []
        preposition, noun, gender = location.fr
        return [preposition, "le" if gender == "m" else "la", noun]
