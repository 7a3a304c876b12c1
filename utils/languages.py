"""A synchronous grammar, second half: a meaning said in English, German, French or Chinese.

What a translator must learn is real: German gender, case and adjective endings, the verb in second
place or at the end, separable verbs; French agreement and elision; Chinese classifiers, relative
clauses before their noun, time and place before the verb. Meanings come from ``utils.grammar``.
"""

from __future__ import annotations

import re

from utils.grammar import Clause, Entry, Phrase, Sentence


def _finish(words: list[str]) -> str:
    """Words to a sentence: commas joined on, doubled ones dropped, a capital and a full stop."""
    text = re.sub(r" (?=,)", "", " ".join(word for word in words if word))
    text = re.sub(r",+(?=,|$)", "", text.replace(",,", ","))
    return text[0].upper() + text[1:] + "."


class English:
    """Word by word, with agreement and a/an."""

    def sentence(self, s: Sentence) -> str:
        main = self.clause(s.main)
        if s.report:
            main = [*self.phrase(s.reporter), s.report.en[not s.reporter.plural], "that", *main]
        elif s.link:
            other = [s.link, *self.clause(s.other)]
            main = [*other, ",", *main] if s.other_first else [*main, *other]
        return re.sub(r"\b([Aa])(?= [aeio])", r"\1n", _finish(main))

    def phrase(self, p: Phrase) -> list[str]:
        words = [p.determiner, *(a.en[0] for a in p.adjectives), p.noun.en[p.plural]]
        if p.relative:
            pronoun = "who" if "person" in p.noun.tags else "that"
            words += [pronoun, *self.clause(p.relative, p)]
        return words

    def clause(self, c: Clause, gap: Phrase | None = None) -> list[str]:
        """`gap`: the noun phrase that this clause is relative to."""
        subject = [] if gap and gap.is_subject else self.phrase(c.subject)
        thing = [] if c.thing is None or gap and not gap.is_subject else self.phrase(c.thing)
        receiver = self.phrase(c.receiver) if c.receiver else []
        goal = ["to", "the", c.goal.en[-1]] if c.goal else []
        place = [c.place.en[0], "the", c.place.en[1]] if c.place else []
        time = list(c.time.en) if c.time else []
        if place[:1] == ["at"] and place[-1] == "school":
            place = ["at", "school"]
        before, after = (time, []) if c.time_first else ([], time)
        return [*before, *subject, *self.verb(c), *receiver, *thing, *goal, *place, *after]

    def verb(self, c: Clause) -> list[str]:
        base, third, past = c.verb.en
        if isinstance(c.tense, Entry):
            return [c.tense.en[not c.subject.plural], base]
        return [past if c.tense == "past" else base if c.subject.plural else third]


class German:
    """Gender, case, endings; the finite verb second in a main clause, last in any other."""

    THE = {"nom": "der die das die", "acc": "den die das die", "dat": "dem der dem den"}
    STRONG = {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en"}
    PLAIN = {"two": "zwei", "three": "drei", "some": "einige"}

    def sentence(self, s: Sentence) -> str:
        if s.report:
            opening = [*self.phrase(s.reporter, "nom"), s.report.de[s.reporter.plural]]
            return _finish([*opening, ",", "dass", *self.clause(s.main, last=True)])
        if not s.link:
            return _finish(self.clause(s.main))
        link = {"because": "weil", "although": "obwohl"}.get(s.link)
        link = link or ("als" if s.other.tense == "past" else "wenn")
        other = [link, *self.clause(s.other, last=True)]
        if s.other_first:
            return _finish([*other, ",", *self.clause(s.main, inverted=True)])
        return _finish([*self.clause(s.main), ",", *other])

    def gender(self, p: Phrase) -> int:
        """Column of the tables: masculine, feminine, neuter, plural."""
        return 3 if p.plural else "mfn".index(p.noun.de[1])

    def article(self, p: Phrase, case: str) -> str:
        gender = self.gender(p)
        if p.determiner == "the":
            return self.THE[case].split()[gender]
        ending = self.STRONG[case].split()[gender]
        if p.determiner in ("this", "these"):
            return "dies" + ending
        if p.determiner == "a":
            plain = (case, gender) in (("nom", 0), ("nom", 2), ("acc", 2))
            return "ein" if plain else "ein" + ending
        return "einigen" if (p.determiner, case) == ("some", "dat") else self.PLAIN[p.determiner]

    def adjective(self, p: Phrase, case: str) -> str:
        """The ending: weak after der and dieser, mixed after ein, strong after a number."""
        gender, weak = self.gender(p), p.determiner in ("the", "this", "these")
        if case == "dat" or (weak and gender == 3) or (case, gender) == ("acc", 0):
            return "en"
        return "e" if weak else self.STRONG[case].split()[gender]

    def noun(self, p: Phrase, case: str) -> str:
        singular, _, plural, *oblique = p.noun.de
        if not p.plural:
            return oblique[0] if oblique and case != "nom" else singular
        return plural + "n" if case == "dat" and plural[-1] not in "ns" else plural

    def phrase(self, p: Phrase, case: str) -> list[str]:
        ending = self.adjective(p, case)
        words = [self.article(p, case), *(a.de[0] + ending for a in p.adjectives)]
        words.append(self.noun(p, case))
        if p.relative:
            pronoun = self.THE["nom" if p.is_subject else "acc"].split()[self.gender(p)]
            words += [",", pronoun, *self.clause(p.relative, p, last=True), ","]
        return words

    def place(self, place: Entry, case: str) -> list[str]:
        preposition, noun, gender = place.de
        article = self.THE[case].split()["mfn".index(gender)]
        merged = {"in dem": "im", "an dem": "am", "in das": "ins"}
        return [merged.get(f"{preposition} {article}", f"{preposition} {article}"), noun]

    def clause(
        self, c: Clause, gap: Phrase | None = None, last: bool = False, inverted: bool = False
    ) -> list[str]:
        """`last`: verb at the end; `inverted`: something stands before, so the verb opens."""
        subject = [] if gap and gap.is_subject else self.phrase(c.subject, "nom")
        thing = [] if c.thing is None or gap and not gap.is_subject else self.phrase(c.thing, "acc")
        time = list(c.time.de) if c.time else []
        middle = [] if c.time_first else time
        middle = [*middle, *(self.phrase(c.receiver, "dat") if c.receiver else [])]
        middle += self.place(c.place, "dat") if c.place else []
        middle += [*thing, *(self.place(c.goal, "acc") if c.goal else [])]
        finite, prefix, rest = self.verb(c)
        if last:
            return [*subject, *middle, *(rest or []), prefix + finite]
        tail = rest or [prefix]
        if inverted or c.time_first:
            return [*(time if c.time_first else []), finite, *subject, *middle, *tail]
        return [*subject, finite, *middle, *tail]

    def verb(self, c: Clause) -> tuple[str, str, list[str]]:
        """The finite verb, its separable prefix if it is on its own, and what closes the clause."""
        third, infinitive, participle, auxiliary, *prefix = c.verb.de
        before, plural = "".join(prefix), c.subject.plural
        if isinstance(c.tense, Entry):
            return c.tense.de[plural], "", [before + infinitive]
        if c.tense == "past":
            finite = {"hat": "haben", "ist": "sind"}[auxiliary] if plural else auxiliary
            return finite, "", [before + participle]
        return (infinitive if plural else third), before, []


class French:
    """Gender and number agreement, adjectives before or after, elision and contraction."""

    ARTICLES = {"the": "le la les", "a": "un une", "this": "ce cette", "these": "ces ces ces"}
    PLAIN = {"two": "deux", "three": "trois", "some": "quelques"}
    VOWEL = "(?=[aeiouyhéèêœâ])"

    def sentence(self, s: Sentence) -> str:
        words = self.clause(s.main)
        if s.report:
            words = [*self.phrase(s.reporter), s.report.fr[s.reporter.plural], "que", *words]
        elif s.link:
            link = {"because": "parce que", "when": "quand", "although": "même si"}[s.link]
            other = [link, *self.clause(s.other)]
            words = [*other, ",", *words] if s.other_first else [*words, *other]
        text = " ".join(words)
        text = re.sub(rf"\b(l)[ea] {self.VOWEL}|\b(qu)e {self.VOWEL}", r"\1\2'", text)
        text = re.sub(rf"\bce {self.VOWEL}", "cet ", text)
        return _finish(re.sub(r"\bà le\b(?!')", "au", re.sub(r"\bà les\b", "aux", text)).split())

    def agree(self, word: str, feminine: bool, plural: bool) -> str:
        word += "e" if feminine else ""
        return word + "s" if plural and word[-1] not in "sx" else word

    def adjective(self, entry: Entry, p: Phrase, following: str) -> str:
        masculine, feminine, _, *before_vowel = entry.fr
        if p.noun.fr[1] == "f":
            return feminine + "s" * p.plural
        if p.plural:
            return (
                masculine + "x" if masculine.endswith("eau") else self.agree(masculine, False, True)
            )
        return before_vowel[0] if before_vowel and re.match(self.VOWEL, following) else masculine

    def phrase(self, p: Phrase) -> list[str]:
        words = [p.noun.fr[2 if p.plural else 0]]
        after = [self.adjective(a, p, "") for a in p.adjectives if a.fr[2] == "after"]
        for a in reversed([a for a in p.adjectives if a.fr[2] == "before"]):
            words = [self.adjective(a, p, words[0]), *words]
        words += [after[0], *(["et", after[1]] if len(after) > 1 else [])] if after else []
        column = 2 if p.plural else "mf".index(p.noun.fr[1])
        article = self.PLAIN.get(p.determiner) or self.ARTICLES[p.determiner].split()[column]
        if p.relative:
            words += ["qui" if p.is_subject else "que", *self.clause(p.relative, p)]
        return [article, *words]

    def place(self, place: Entry) -> list[str]:
        preposition, noun, gender = place.fr
        return [preposition, "le" if gender == "m" else "la", noun]

    def clause(self, c: Clause, gap: Phrase | None = None) -> list[str]:
        subject = [] if gap and gap.is_subject else self.phrase(c.subject)
        thing = [] if c.thing is None or gap and not gap.is_subject else self.phrase(c.thing)
        receiver = ["à", *self.phrase(c.receiver)] if c.receiver else []
        place = self.place(c.goal or c.place) if c.goal or c.place else []
        time = list(c.time.fr) if c.time else []
        before, after = (time, []) if c.time_first else ([], time)
        verb = self.verb(c, None if gap is None or gap.is_subject else gap)
        return [*before, *subject, *verb, *thing, *receiver, *place, *after]

    def verb(self, c: Clause, object_before: Phrase | None) -> list[str]:
        third, plural_form, infinitive, participle, auxiliary = c.verb.fr
        plural = c.subject.plural
        if isinstance(c.tense, Entry):
            return [c.tense.fr[plural], infinitive]
        if c.tense == "present":
            return [plural_form if plural else third]
        whom = c.subject if auxiliary == "est" else object_before
        if whom is not None:
            participle = self.agree(participle, whom.noun.fr[1] == "f", whom.plural)
        return [{"a": "ont", "est": "sont"}[auxiliary] if plural else auxiliary, participle]


class Chinese:
    """Classifiers; time, place and relative clauses before what they belong to; no spaces."""

    SINGULAR = {"the": "那", "a": "一", "this": "这", "two": "两", "three": "三"}
    PLURAL = {"the": "那些", "these": "这些", "some": "一些"}
    LINKS = {"because": ("因为", "所以"), "although": ("虽然", "但是")}

    def sentence(self, s: Sentence) -> str:
        main = self.clause(s.main)
        if s.report:
            return f"{self.phrase(s.reporter)}{s.report.zh[0]}{main}。"
        if s.link == "when":
            return f"{self.clause(s.other)}的时候，{main}。"
        if not s.link:
            return main + "。"
        opening, closing = self.LINKS[s.link]
        other = opening + self.clause(s.other)
        return f"{other}，{closing}{main}。" if s.other_first else f"{main}，{other}。"

    def phrase(self, p: Phrase) -> str:
        noun, classifier = p.noun.zh
        if p.plural and p.determiner in self.PLURAL:
            number = self.PLURAL[p.determiner]
        else:
            number = self.SINGULAR[p.determiner] + classifier
        relative = self.clause(p.relative, p) + "的" if p.relative else ""
        return number + relative + "".join(a.zh[0] + "的" for a in p.adjectives) + noun

    def clause(self, c: Clause, gap: Phrase | None = None) -> str:
        subject = "" if gap and gap.is_subject else self.phrase(c.subject)
        thing = "" if c.thing is None or gap and not gap.is_subject else self.phrase(c.thing)
        time = c.time.zh[0] if c.time else ""
        place = "在" + "".join(c.place.zh) if c.place else ""
        modal = c.tense.zh[0] if isinstance(c.tense, Entry) else ""
        verb = c.verb.zh[0] + ("了" if c.tense == "past" else "")
        receiver = self.phrase(c.receiver) if c.receiver else ""
        goal = c.goal.zh[0] if c.goal else ""
        opening = time + subject if c.time_first else subject + time
        return opening + modal + place + verb + receiver + thing + goal


SPEAKERS = {"de": German(), "en": English(), "fr": French(), "zh": Chinese()}


def say(sentence: Sentence, language: str) -> str:
    """The sentence in "de", "en", "fr" or "zh"."""
    return SPEAKERS[language].sentence(sentence)
