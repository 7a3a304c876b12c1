"""Realization of meanings in Chinese, for the stand-in sentence pairs.

In the lexicon, a noun has its classifier.
"""

from __future__ import annotations

from typing import ClassVar

from utils.data.standins.grammar import Clause, Entry, Phrase, Realizer, Sentence


class Chinese(Realizer):
    """Expresses meanings in Chinese: classifiers; time, location and relative clause in front."""

    # before a classifier, and without one
    CLASSIFIED_DETERMINERS: ClassVar = {
        "the": "那",
        "a": "一",
        "this": "这",
        "two": "两",
        "three": "三",
    }
    UNCLASSIFIED_DETERMINERS: ClassVar = {"the": "那些", "these": "这些", "some": "一些"}
    CONJUNCTIONS: ClassVar = {"because": ("因为", "所以"), "although": ("虽然", "但是")}

    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence as text."""
        main = self.clause(sentence.main)
        if sentence.reporter and sentence.reporting_verb:
            return f"{self.phrase(sentence.reporter)}{sentence.reporting_verb.zh[0]}{main}。"
        if not (sentence.conjunction and sentence.subordinate):
            return main + "。"
        subordinate = self.clause(sentence.subordinate)
        if sentence.conjunction == "when":
            return f"{subordinate}的时候，{main}。"
        opening, resumption = self.CONJUNCTIONS[sentence.conjunction]
        if sentence.subordinate_first:
            return f"{opening}{subordinate}，{resumption}{main}。"
        return f"{main}，{opening}{subordinate}。"

    def clause(self, clause: Clause, gap: Phrase | None = None) -> str:
        """Return the text of a clause.

        Parameters
        ----------
        clause
            The grammatical roles and their phrases, without word order.
        gap
            The phrase to which it is relative, if any.

        Returns
        -------
        text : str
            The text of the clause.
        """
        subject, direct_object = clause.arguments(gap)
        topics = [self.phrase(subject), clause.time.zh[0] if clause.time else ""]
        opening = "".join(reversed(topics) if clause.time_first else topics)
        modal = clause.tense.zh[0] if isinstance(clause.tense, Entry) else ""
        location = "在" + "".join(clause.location.zh) if clause.location else ""
        verb = clause.verb.zh[0] + ("了" if clause.tense == "past" else "")
        objects = self.phrase(clause.recipient) + self.phrase(direct_object)
        destination = clause.destination.zh[0] if clause.destination else ""
        return opening + modal + location + verb + objects + destination

    def phrase(self, phrase: Phrase | None) -> str:
        """Return the text of a noun phrase; nothing for None."""
        if phrase is None:
            return ""
        noun, classifier = phrase.noun.zh
        if phrase.plural and phrase.determiner in self.UNCLASSIFIED_DETERMINERS:
            determiner = self.UNCLASSIFIED_DETERMINERS[phrase.determiner]
        else:
            determiner = self.CLASSIFIED_DETERMINERS[phrase.determiner] + classifier
        relative = self.clause(phrase.relative, phrase) + "的" if phrase.relative else ""
        adjectives = "".join(adjective.zh[0] + "的" for adjective in phrase.adjectives)
        return determiner + relative + adjectives + noun
