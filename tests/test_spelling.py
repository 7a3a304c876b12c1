"""Spelling: words as recognize, center and favor have no second spelling in code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = ("your-organisation", "owner")  # in the book's address
FILES = [
    path
    for folder in ("utils", "benchmarks", "tools", "tests")
    for path in (ROOT / folder).rglob("*.py")
] + [ROOT / name for name in ("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md")]
STEMS = """
    anonym apolog author capital categor central character crystall custom digit discret emphas
    equal factor favour final formal general harmon ideal initial ital item linear local margin
    marginal material maxim memor minim modern modular neutral normal optim organ orthogonal
    orthonormal parallel parameter penal polar popular prior priorit quant random raster real recogn
    regular sequential serial special stabil standard summar symbol synchron synthes token util
    vector visual
""".split()
BRITISH = re.compile(
    rf"(?<![a-z])(?:un|re|de|pre)?(?:{'|'.join(STEMS)})is(?:e[sdr]?|ers|ing|able|ations?)(?![a-z])"
    r"|(?<![a-z])(?:anal|paral|catal)ys(?:ed|er|ers|ing)(?![a-z])"
    r"|(?<![a-z])cent(?:re[ds]?|ring)(?![a-z])|(?<![a-z])(?:un)?favour",
    re.IGNORECASE,
)


def british_words(text: str) -> list[str]:
    return [match[0] for match in BRITISH.finditer(text.replace(*PLACEHOLDER))]


def test_words_in_code_have_their_american_spelling():
    here = Path(__file__).resolve()
    for path in FILES:
        if path != here:
            found = british_words(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)} has {sorted(set(found))}"


@pytest.mark.parametrize(
    "word", "Recogniser re-normalised num_tokenised analysed centred Favourable".split()
)
def test_the_other_spelling_is_found(word):
    assert british_words(f"A {word} word")


def test_words_that_have_one_spelling_are_not_found():
    assert not british_words("raise, otherwise, precise, exercise, synthesis, analysis, realistic")
    assert not british_words("center, central, centered, favor")
