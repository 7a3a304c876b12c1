"""Glossary, errata and outlook: their links hold, and the glossary is in order."""

import re
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PAGES = [BOOK / name for name in ("glossary.md", "errata.md", "08-outlook.md")]
LINK = re.compile(r"\]\(((?:\.\./notebooks/)?[\w-]+\.(?:md|ipynb))(?:#([\w-]+))?\)")
LINKS_AT_END = re.compile(r"\.\)? \((?:\[[^]]+\]\([^)]+\)(?:, )?)+\)$")


@cache
def text_of(path):
    """The text of a page, or the prose of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@cache
def anchors_of(path):
    """The anchors of a page's headings down to the third level, as MyST makes them."""
    headings = re.findall(r"^#{1,3} (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@cache
def entries():
    """The terms and the definition of each entry of the glossary."""
    body = text_of(BOOK / "glossary.md").partition("```{glossary}\n")[2].partition("\n```")[0]
    blocks = [block.splitlines() for block in body.split("\n\n")]
    return [(block[:-1], block[-1]) for block in blocks]


def broken_links(page, text):
    """The links of a text to a page that does not exist, or to a heading that it lacks."""
    for file, anchor in LINK.findall(text):
        path = (page.parent / file).resolve()
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            yield f"{page.name}: {file}#{anchor}"


def test_links_lead_to_headings_that_exist():
    for page in PAGES:
        assert len(LINK.findall(text_of(page))) > 10
        assert not list(broken_links(page, text_of(page)))


def test_a_link_to_a_missing_heading_or_page_is_found():
    page = BOOK / "errata.md"
    assert list(broken_links(page, "[a](09-faq.md#no-such-heading) [b](no-such-page.md)")) == [
        "errata.md: 09-faq.md#no-such-heading",
        "errata.md: no-such-page.md#",
    ]
    assert not list(broken_links(page, "[a](01-background.md#notation) [b](09-faq.md)"))


def test_evidence_leads_to_claims_that_notebooks_make():
    notebooks = (ROOT / "notebooks").glob("*.ipynb")
    made = {
        m
        for path in notebooks
        for m in re.findall(r"^\((claim-[\w-]+)\)=$", text_of(path), re.MULTILINE)
    }
    for page in PAGES:
        named = set(re.findall(r"<(claim-[\w-]+)>`", text_of(page)))
        assert named <= made, f"{page.name}: {named - made}"


def test_each_term_stands_once_and_in_order():
    terms = [term.casefold() for names, _ in entries() for term in names]
    assert len(terms) == len(set(terms))
    first = [re.sub("[–-]", " ", names[0].casefold()) for names, _ in entries()]
    assert len(first) > 200 and first == sorted(first)


def test_each_definition_links_where_its_term_is_introduced():
    for names, definition in entries():
        assert definition.startswith("  "), f"{names}: a definition is one line, indented"
        assert LINKS_AT_END.search(definition), f"{names[0]}: no link at the end"


def test_terms_in_definitions_are_terms_of_the_glossary():
    terms = {term.casefold() for names, _ in entries() for term in names}
    for names, definition in entries():
        for role in re.findall(r"\{term\}`([^`]+)`", definition):
            term = re.sub(r".*<(.+)>$", r"\1", role)
            assert term.casefold() in terms, f"{names[0]}: {term} is no term"


def test_chinese_terms_are_in_simplified_characters():
    for names, definition in entries():
        for character in re.findall(r"[\u3400-\u9fff]", "".join([*names, definition])):
            assert character.encode("gb2312", errors="ignore"), f"{names[0]}: {character}"
