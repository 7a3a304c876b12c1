"""Realization of meanings in German, for the stand-in sentence pairs.

In the lexicon, a noun has its nominative singular, gender (m, f, n), nominative plural and, if it
differs, its oblique singular; a verb has its third person singular, infinitive, participle,
auxiliary and, if there is one, its separable prefix.
"""

from __future__ import annotations

from typing import ClassVar

from utils.data.standins.grammar import (
    Clause,
    Entry,
    Phrase,
    Realizer,
    Sentence,
    punctuate,
)


class German(Realizer):
    """Expresses meanings in German: gender, case and endings; the verb second, or last."""

    # by case; in each row masculine, feminine, neuter, plural
    DEFINITE: ClassVar = {
        "nom": ("der", "die", "das", "die"),
        "acc": ("den", "die", "das", "die"),
        "dat": ("dem", "der", "dem", "den"),
    }
    STRONG_ENDINGS: ClassVar = {
        "nom": ("er", "e", "es", "e"),
        "acc": ("en", "e", "es", "e"),
        "dat": ("em", "er", "em", "en"),
    }
    QUANTIFIERS: ClassVar = {"two": "zwei", "three": "drei", "some": "einige"}
    CONTRACTIONS: ClassVar = {"in dem": "im", "an dem": "am", "in das": "ins"}

    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence as text."""
        if sentence.reporter and sentence.reporting_verb:
            says = sentence.reporting_verb.de[sentence.reporter.plural]
            reported = self.clause(sentence.main, verb_last=True)
            reporter = self.phrase(sentence.reporter, "nom")
            return punctuate([*reporter, says, ",", "dass", *reported])
        if not (sentence.conjunction and sentence.subordinate):
            return punctuate(self.clause(sentence.main))
        conjunction = self.conjunction(sentence.conjunction, sentence.subordinate)
        subordinate = [conjunction, *self.clause(sentence.subordinate, verb_last=True)]
        if sentence.subordinate_first:
            main = self.clause(sentence.main, verb_first=True)
            return punctuate([*subordinate, ",", *main])
        return punctuate([*self.clause(sentence.main), ",", *subordinate])

    def conjunction(self, conjunction: str, subordinate: Clause) -> str:
        """Translate a conjunction; "when" depends on the tense of the subordinate clause."""
        when = "als" if subordinate.tense == "past" else "wenn"
        return {"because": "weil", "although": "obwohl", "when": when}[conjunction]

    def clause(
        self,
        clause: Clause,
        gap: Phrase | None = None,
        *,
        verb_last: bool = False,
        verb_first: bool = False,
    ) -> list[str]:
        """Return the words of a clause.

        Parameters
        ----------
        clause
            The grammatical roles and their phrases, without word order.
        gap
            The phrase to which it is relative, if any.
        verb_last
            Put the finite verb last, as in a subordinate clause.
        verb_first
            Put the finite verb first, as in a main clause after a subordinate one.

        Returns
        -------
        words : list of str
            The words in order.
        """
        subject, direct_object = clause.arguments(gap)
        subject_words = self.phrase(subject, "nom")
        time = list(clause.time.de) if clause.time else []
        middle = [] if clause.time_first else time
        middle = [*middle, *self.phrase(clause.recipient, "dat")]
        middle += self.location(clause.location, "dat")
        middle += [*self.phrase(direct_object, "acc"), *self.location(clause.destination, "acc")]
        finite, prefix, nonfinite = self.verb(clause)
        if verb_last:
            return [*subject_words, *middle, *nonfinite, prefix + finite]
        closing = nonfinite or [prefix]
        if clause.time_first:
            return [*time, finite, *subject_words, *middle, *closing]
        opening = [finite, *subject_words] if verb_first else [*subject_words, finite]
        return [*opening, *middle, *closing]

    def verb(self, clause: Clause) -> tuple[str, str, list[str]]:
        """Return the parts of the verb in the tense and number of the clause.

        Returns
        -------
        finite : str
            The finite verb.
        prefix : str
            The separable prefix of the finite verb; "" if it has none.
        nonfinite : list of str
            The infinitive or participle, if there is one.
        """
        third_person, infinitive, participle, auxiliary, *prefixes = clause.verb.de
        prefix, plural = "".join(prefixes), clause.subject.plural
        if isinstance(clause.tense, Entry):
            return clause.tense.de[plural], "", [prefix + infinitive]
        if clause.tense == "past":
            finite = {"hat": "haben", "ist": "sind"}[auxiliary] if plural else auxiliary
            return finite, "", [prefix + participle]
        return (infinitive if plural else third_person), prefix, []

    def phrase(self, phrase: Phrase | None, case: str) -> list[str]:
        """Return the words of a noun phrase in a case; none for None.

        Parameters
        ----------
        phrase
            The noun phrase.
        case
            Its grammatical case: "nom", "acc" or "dat".

        Returns
        -------
        words : list of str
            The words in order.
        """
        if phrase is None:
            return []
        ending = self.adjective_ending(phrase, case)
        adjectives = [adjective.de[0] + ending for adjective in phrase.adjectives]
        words = [self.article(phrase, case), *adjectives, self.noun(phrase, case)]
        if phrase.relative:
            pronoun = self.DEFINITE["nom" if phrase.is_subject else "acc"][self.gender(phrase)]
            relative = self.clause(phrase.relative, phrase, verb_last=True)
            words += [",", pronoun, *relative, ","]
        return words

    def gender(self, phrase: Phrase) -> int:
        """Return the column of the tables: masculine, feminine, neuter, plural."""
        return 3 if phrase.plural else "mfn".index(phrase.noun.de[1])

    def article(self, phrase: Phrase, case: str) -> str:
        """Return the determiner with its ending.

        Parameters
        ----------
        phrase
            The noun phrase.
        case
            Its grammatical case: "nom", "acc" or "dat".

        Returns
        -------
        determiner : str
            A German determiner with the ending of gender, case and number.
        """
        gender = self.gender(phrase)
        ending = self.STRONG_ENDINGS[case][gender]
        if phrase.determiner == "the":
            return self.DEFINITE[case][gender]
        if phrase.determiner in ("this", "these"):
            return "dies" + ending
        if phrase.determiner == "a":
            no_ending = (case, gender) in (("nom", 0), ("nom", 2), ("acc", 2))
            return "ein" if no_ending else "ein" + ending
        if (phrase.determiner, case) == ("some", "dat"):
            return "einigen"
        return self.QUANTIFIERS[phrase.determiner]

    def adjective_ending(self, phrase: Phrase, case: str) -> str:
        """Return the ending: weak after der and dieser, mixed after ein, strong after a number."""
        gender = self.gender(phrase)
        is_weak = phrase.determiner in ("the", "this", "these")
        if case == "dat" or (is_weak and gender == 3) or (case, gender) == ("acc", 0):
            return "en"
        return "e" if is_weak else self.STRONG_ENDINGS[case][gender]

    def noun(self, phrase: Phrase, case: str) -> str:
        """Return the noun in number and case; some have an oblique form in the singular."""
        singular, _, plural, *oblique = phrase.noun.de
        if not phrase.plural:
            return oblique[0] if oblique and case != "nom" else singular
        return plural + "n" if case == "dat" and plural[-1] not in "ns" else plural

    def location(self, location: Entry | None, case: str) -> list[str]:
        """Return a location (in the dative) or a destination (accusative); nothing for None."""
        if location is None:
            return []
        preposition, noun, gender = location.de
        words = f"{preposition} {self.DEFINITE[case]['mfn'.index(gender)]}"
        return [self.CONTRACTIONS.get(words, words), noun]
