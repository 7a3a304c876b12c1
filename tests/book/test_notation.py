"""Chapter 1 lists each section that uses a letter of the whole book for something else."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "book" / "01-background.md"
LETTERS = "BTSVDEHwxhWθzpL"
BEYOND = "Beyond one machine"
# Where a letter has the meaning of the first table only: somebody has read its formulas there.
AS_IN_THE_BOOK = {
    "B": "2.3 3.1 4.1.1 5.1 5.2 6.2 6.3 7.1 7.2 7.3 8.4 9.1",  # 9.1: the name of a model
    "T": "2 2.1 2.2 2.3 3.1 3.2 4.1.2 4.2 5.1 5.2 6.1 6.3 7.1 7.2 7.3 8.1 8.4",
    "S": "2 2.3 3.2 4.2 5.2 6.1 7.3 8.2 9.1",
    "V": "2.1 2.2 2.3 3.2 4.1.1 4.1.2 4.2 5.1 5.2 6.1 6.3 7.1 7.2 9",
    "D": "2.3 3.1 3.2 4.1.1 4.1.2 4.2 5.1 5.2 6.2 6.3 7.1 7.2 7.3 8.1",
    "E": "4.1.1 4.1.2 5.1 7.1 9.1",
    "H": "7.1 7.3 8.1 8.2",
    "w": "2 2.1 3.2 4 4.1 4.1.1 4.1.2 4.2 5 5.1 5.2 6 6.1",
    "x": "2 2.1 2.3 3.1 3.2 4.1.1 4.1.2 4.2 5.2 6.2 7.1 7.2 7.3 8.1 8.2 8.3",
    "h": "2.3 3.2 4 4.1 4.1.2 4.2 5.1 5.2 6.1 7.1",
    "W": "2.2 2.3 3.1 3.2 4.1.1 4.1.2 4.2 5.1 6.1 6.2 6.3 7.1 7.3 8.1 8.2 9.1",
    "θ": "3.1 4.1.2 7.1 7.2 8.4",
    "z": "6.2 8.1 8.2 8.3 9.1",
    "p": "2 2.1 2.2 2.3 4 4.1 4.1.1 4.1.2 5.1 5.2 6 6.2 6.3 8.1 8.2 8.3",
    "L": "2.3 4 4.1.1 4.1.2 4.2 5.1 5.2 6.1 7.1 7.2 8.3 8.4 9.1",
}
BEYOND_AS_IN_THE_BOOK = "BTDxW"


def prose_of(page):
    """The Markdown of a page or of a notebook's cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def letters_of(text):
    """Those of the fifteen letters that the formulas of a text use as symbols."""
    found = set()
    for pair in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", text, flags=re.DOTALL):
        formula = "".join(pair).replace(r"\theta", "θ").replace(r"\mathcal{L}", "L")
        words = r"\\(?:text|mathrm|operatorname\*?|mathbb|mathcal|begin|end) *(?:\{[^{}]*\}|[A-Z])"
        formula = re.sub(r"\\[A-Za-z]+", " ", re.sub(words, " ", formula))
        found |= set(LETTERS) & set(formula)
    return found


def section_of(page):
    """The number of a section or chapter, or the name of a page that has none."""
    if page.stem.startswith("07-beyond"):
        return BEYOND
    return re.match(r"0(\d(?:-\d)*)-", page.stem)[1].replace("-", ".")


def uses():
    """The sections that use each letter, chapter 1 left out."""
    found = {letter: set() for letter in LETTERS}
    pages = [*(ROOT / "book").glob("0[2-9]*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    for page in pages:
        for letter in letters_of(prose_of(page)):
            found[letter].add(section_of(page))
    return found


def listed(chapter):
    """The sections that the list at the end of chapter 1 names for each letter."""
    changes = chapter.partition("{admonition} Letters with other meanings")[2].partition("```")[0]
    rows = re.findall(r"^- \$([^$]+)\$: (.+)$", changes, flags=re.MULTILINE)
    names = rf"\b\d(?:\.\d)*\b|{BEYOND}"
    return {letter.replace(r"\theta", "θ"): set(re.findall(names, text)) for letter, text in rows}


def kept():
    """The sections in which each letter keeps its meaning."""
    found = {letter: set(sections.split()) for letter, sections in AS_IN_THE_BOOK.items()}
    for letter in BEYOND_AS_IN_THE_BOOK:
        found[letter].add(BEYOND)
    return found


def wrong_entries(chapter):
    """A letter and a section: a use in neither list or in both, or in the list without a use."""
    used, other, same = uses(), listed(chapter), kept()
    assert set(other) <= set(used) == set(same)
    for letter, sections in used.items():
        there = other.get(letter, set())
        for section in (
            (sections - there - same[letter]) | (there - sections) | (there & same[letter])
        ):
            yield letter, section


def test_the_list_has_each_section_that_gives_a_letter_another_meaning():
    assert not list(wrong_entries(CHAPTER.read_text(encoding="utf-8")))


def test_a_use_that_the_list_lacks_is_found_and_an_entry_without_a_use():
    chapter = CHAPTER.read_text(encoding="utf-8")
    assert ("B", "3.2") in wrong_entries(chapter.replace("the beam (3.2); ", ""))
    assert ("T", "8.2") in wrong_entries(chapter.replace("temperature (8.3)", "temperature (8.2)"))


def test_letters_are_found_in_formulas_only():
    text = r"V, **H**, $x_B \le \theta$ and $$\mathcal{L} = \text{S} + \mathbb{E}\, D$$"
    assert letters_of(text) == set("xBθLD")
