"""The PDF and the EPUB of the built site.

Needs `make book` first. Some pages are made into both; with LLM_BOOK_EDITIONS=whole the files of
`make pdf epub` are tested in their place, as the publishing workflow does. Those of the Chinese
site are tested with LLM_BOOK_SITE=_build/html/zh. What needs Chromium, a
Chinese font, `pdftotext` or `epubcheck` is skipped, with a line, without it.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pikepdf
import pytest

from tools.editions import built_site, chromium, imprint
from tools.editions.articles import BIBLIOGRAPHY, book_link, make_parts
from tools.editions.built_site import (
    SITE_PAGES,
    WORDS,
    EditionError,
    heading_text,
    read_names,
    read_site,
)
from tools.editions.chromium import find_chromium, opened
from tools.editions.download_links import edition_path, link_editions
from tools.editions.epub import CONVERT, write_epub
from tools.editions.headings import read_headings
from tools.editions.imprint import read_imprint, require_chinese_font
from tools.editions.pdf import find_pages, read_outline, write_pdf
from tools.translation.site import CHINESE_SITE

# The first page, two chapters' beginnings, solutions, sounds, wide tables.
PART = """book/index book/02-concepts notebooks/02-1-language-models book/06-applications
    notebooks/06-3-speech-recognition book/glossary""".split()
SITE = Path(os.environ.get("LLM_BOOK_SITE", built_site.SITE)).resolve()
LANGUAGE = "zh" if SITE.name == CHINESE_SITE.name else "en"
SOLUTIONS = WORDS[LANGUAGE]["solutions"]
# the second chapter, its first section and its first exercise
CHAPTER, SECTION, EXERCISE = {
    "en": ("2 Core concepts", "2.1 Language models", "Exercise 1. Why sentences need an end"),
    "zh": ("2 核心概念", "2.1 语言模型", "习题 1：句子为什么需要结尾"),
}[LANGUAGE]
IS_WHOLE = os.environ.get("LLM_BOOK_EDITIONS") == "whole"
PIECE = re.compile(r"\W")  # of a long brace or bar, which MathJax cuts to its length
SIDES = ("xMin", "yMin", "xMax", "yMax")
CHINESE = re.compile("[\u3400-\u9fff]+")
MATHML = "{http://www.w3.org/1998/Math/MathML}math"
WORD = re.compile("<word " + " ".join(rf'{side}="([-\d.]+)"' for side in SIDES) + ">(.*?)</word>")
FORMULA = re.compile(
    r'<(div|span) class="math[^>]*>\s*(?:<span class="eqno">.*?</span>)?\s*'
    r"\\[\[(](.*?)\\[\])]</\1>",
    re.DOTALL,
)
XHTML = "{http://www.w3.org/1999/xhtml}"

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").is_file(), reason="no site in _build/html: `make book` builds it"
)


def read_part():
    """The pages that are made into the editions here; an edition changes them as it is made."""
    return read_site(SITE, only=None if IS_WHOLE else PART)


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """The folder with the PDF and the EPUB."""
    if IS_WHOLE:
        return edition_path(SITE, "pdf", language=LANGUAGE).parent
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine: no edition was made")
    try:
        require_chinese_font()
    except EditionError as error:
        pytest.skip(f"no edition was made: {error}")
    folder = tmp_path_factory.mktemp("editions")
    for kind, write in (("pdf", write_pdf), ("epub", write_epub)):
        site = read_part()
        write(site, edition_path(folder, kind, language=LANGUAGE), read_imprint(site))
    return edition_path(folder, "pdf", language=LANGUAGE).parent


@pytest.fixture(scope="module")
def pdf_path(editions):
    return next(editions.glob("*.pdf"))


@pytest.fixture(scope="module")
def pdf(pdf_path):
    with pikepdf.open(pdf_path) as pdf:
        yield pdf


@pytest.fixture(scope="module")
def words(pdf_path):
    """The words of each page of the PDF, each with its box, and the size of the page."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine: the text of the PDF was not read")
    run = subprocess.run(
        ["pdftotext", "-bbox", str(pdf_path), "-"], capture_output=True, check=True, text=True
    )
    pages = []
    for head, body in re.findall(r"<page ([^>]*)>(.*?)</page>", run.stdout, re.DOTALL):
        size = [float(number) for number in re.findall(r'"([\d.]+)"', head)]
        boxes = WORD.findall(body)
        pages.append((size, [(*map(float, box[:4]), unescape(box[4])) for box in boxes]))
    return pages


@pytest.fixture(scope="module")
def epub(editions):
    with zipfile.ZipFile(next(editions.glob("*.epub"))) as archive:
        yield {name: archive.read(name) for name in archive.namelist()}


def test_the_outline_has_every_heading_of_the_pages_and_the_solutions(pdf_path):
    expected = [
        (int(heading.name[1]) + page.depth, heading_text(heading))
        for page in read_part().pages
        for heading in page.article.find_all(["h1", "h2", "h3"])
        if page.name == BIBLIOGRAPHY or heading.find_parent("section", id="references") is None
    ]
    outline = [(entry.level, entry.text) for entry in read_outline(pdf_path)]
    added = Counter(outline) - Counter(expected)
    assert Counter(expected) - Counter(outline) == Counter()
    assert len(outline) > 60 and len(added) >= 4
    titles = {heading_text(page.article.find("h1")) for page in read_part().pages}
    for (_, text), count in added.items():
        assert count == 1 and (text.startswith(SOLUTIONS.format("")) or text in titles), text


def test_the_contents_equal_the_outline_with_their_pages(pdf, pdf_path, words):
    outline, targets = read_outline(pdf_path), find_pages(pdf_path)
    first = outline[0].page
    names = [
        str(note.Dest).removeprefix("/")
        for page in list(pdf.pages)[1 : first - 1]
        for note in page.obj.get("/Annots", [])
    ]
    # a link that breaks into lines is several annotations
    names = [name for name, before in zip(names, [None, *names], strict=False) if name != before]
    assert [targets[name] for name in names] == [entry.page for entry in outline]
    assert sorted(page for page in targets.values() if page < first) == []
    numbers = [
        int(word) for _, boxes in words[1 : first - 1] for *_, word in boxes if word.isdigit()
    ]
    printed = Counter(numbers) - Counter(range(2, first))
    assert Counter(entry.page for entry in outline) - printed == Counter()


def test_no_text_stands_outside_the_page_or_its_margins(words):
    margin = 40  # points; the text keeps 17 mm, which are 48
    edge = 15 if LANGUAGE == "en" else 8  # the boxes of Chinese characters are higher than they are
    for number, ((width, height), boxes) in enumerate(words, start=1):
        outside = [
            word
            for left, top, right, bottom, word in boxes
            if not PIECE.fullmatch(word)
            and (left < margin or right > width - margin or top < edge or bottom > height - edge)
        ]
        assert not outside, f"page {number}: {outside[:5]}"


def test_each_page_bears_its_number_and_the_heads_of_its_part(words, pdf_path):
    pages = {entry.page: entry.text for entry in read_outline(pdf_path) if entry.level == 2}
    for number, ((_, height), boxes) in enumerate(words[1:], start=2):
        foot = [word for _, top, _, _, word in boxes if top > height - 40]
        assert foot[-1:] == [str(number)], number
    for number, text in pages.items():
        if text.startswith("2.1 "):
            head = " ".join(word for _, _, _, bottom, word in words[number - 1][1] if bottom < 50)
            assert text == SECTION and head == f"{CHAPTER} {SECTION}"


def test_each_number_of_an_equation_and_each_chinese_word_is_text(words):
    """And each formula, which is there as LaTeX, too small to see, for those who listen."""
    seen, small = [], []
    for _, boxes in words:
        for _, top, _, bottom, word in boxes:
            (seen if bottom - top > 2 else small).append(word)
    text, latex = "".join(seen), "".join(small)
    numbers, formulas, chinese = [], [], set()
    for page in read_part().pages:
        numbers += [number.contents[0].strip() for number in page.article.select(".eqno")]
        for unseen in page.article.find_all(["desc", "title"]):
            unseen.decompose()
        chinese |= set(CHINESE.findall(page.article.get_text()))
        formulas += [
            "".join(re.findall(r"\\[\[(](.*)\\[\])]", place.get_text(), re.DOTALL)[0].split())
            for place in page.article.select(".math")
        ]
    assert len(numbers) > 20 and [number for number in numbers if number not in text] == []
    assert len(formulas) > 200 and [formula for formula in formulas if formula not in latex] == []
    missing = [word for word in chinese if word not in text]
    # in the Chinese edition a run of characters may go on after a page's foot, or below in a cell
    most = 0 if LANGUAGE == "en" else 0.05 * len(chinese)
    assert len(chinese) > 50 and len(missing) <= most, missing
    assert set("".join(chinese)) <= set(text)


def test_all_fonts_are_embedded(pdf):
    fonts = {}
    for item in pdf.objects:
        if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == "/Font":
            for font in item.get("/DescendantFonts", [item]):
                fonts[str(font.get("/BaseFont", font.get("/Name", "Type3")))] = font
    assert len(fonts) > 5
    for name, font in fonts.items():
        files = {"/FontFile", "/FontFile2", "/FontFile3"} & set(
            font.get("/FontDescriptor", {}).keys()
        )
        assert font.Subtype == "/Type3" or files, name


def test_links_lead_to_places_of_the_book(pdf, pdf_path):
    targets, links = find_pages(pdf_path), Counter()
    for page in pdf.pages:
        for note in page.obj.get("/Annots", []):
            if "/Dest" in note:
                assert str(note.Dest).removeprefix("/") in targets
                links["within"] += 1
            else:
                assert re.match("https?://", str(note.A.URI)), note.A.URI
                links["outside"] += 1
    assert links["within"] > 200 and links["outside"] > 20


def test_the_pdf_has_tags_metadata_and_a_reasonable_size(pdf, pdf_path):
    made = read_imprint(read_part())
    assert (
        pdf.Root.MarkInfo.Marked and pdf.Root.StructTreeRoot and str(pdf.Root.Lang)[:2] == LANGUAGE
    )
    assert pdf.docinfo["/Title"] == made.title and pdf.docinfo["/Author"] == made.author
    assert "CC BY 4.0" in str(pdf.docinfo["/Subject"])
    assert str(pdf.docinfo["/Keywords"]) == f"commit {made.commit}, {made.date}"
    assert len(pdf.pages) < 600 and pdf_path.stat().st_size < 40e6


def test_every_figure_has_a_text_alternative(pdf):
    figures = [
        item
        for item in pdf.objects
        if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/Figure"
    ]
    assert len(figures) > 10 and all(str(figure.get("/Alt", "")) for figure in figures)


def test_solutions_stand_at_the_end_of_their_chapter():
    """And nowhere else: the text has a link to each in their place."""
    site = read_part()
    cells = sum(len(page.article.select("div.tag_hide-cell")) for page in site.pages)
    parts = make_parts(site)
    for part in parts:
        is_solutions = part.key.endswith("--solutions")
        moved = part.article.select("div.tag_hide-cell")
        cells -= len(moved)
        assert bool(moved) == is_solutions, part.title
        links = [str(link["href"]) for link in part.article.select("p.see-page > a")]
        links = [link for link in links if "--solution-" in link]
        chapter = [other for other in parts if other.chapter == part.chapter]
        assert all(chapter[-1].article.find(id=link[1:]) for link in links)
        assert not re.search("Show code cell|显示代码", part.article.get_text())
    assert cells == 0
    (solutions,) = (part for part in parts if part.title == SOLUTIONS.format(CHAPTER))
    labels = [label.get_text() for label in solutions.article.select("p.label")]
    assert EXERCISE in labels and len(set(labels)) > 5


def test_an_edition_has_all_pages_but_those_for_the_site():
    names = [name for name, _ in read_names()]
    assert set(names) > SITE_PAGES
    read = [page.name for page in read_site(SITE).pages]
    assert read == [name for name in names if name not in SITE_PAGES]


def test_no_id_occurs_twice_and_every_link_has_its_place():
    parts = make_parts(read_site(SITE))
    headings = list(read_headings(parts))
    elements = [element for part in parts for element in part.article.find_all(id=True)]
    ids = Counter(str(element["id"]) for element in elements) + Counter(p.key for p in parts)
    assert [key for key, count in ids.items() if count > 1] == []
    links = [str(a["href"]) for part in parts for a in part.article.find_all("a", href=True)]
    inner = [link[1:] for link in links if link.startswith("#")]
    assert len(inner) > 1500 and [key for key in inner if key not in ids] == []
    assert len(headings) == len({heading.key for heading in headings}) > 500


def test_book_link():
    keys = {"book/a.html": "book-a", "notebooks/b.html": "notebooks-b"}
    assert book_link("#x", "book/a", keys) == "#book-a--x"
    assert book_link("../notebooks/b.html#x%20y", "book/a", keys) == "#notebooks-b--x%20y"
    assert book_link("../notebooks/b.html", "book/a", keys) == "#notebooks-b"
    assert book_link("https://example.org/c#d", "book/a", keys) == "https://example.org/c#d"
    assert book_link("../_sources/b.txt", "book/a", keys) is None


# MathJax sets the LaTeX of each formula and its MathML: the glyphs, spaces, lines, cells of both,
# which may differ in place by a few pixels. In Unicode, and so in MathML, \mathcal and \mathscr are
# one alphabet, and \varnothing and \emptyset one character: of each two, the second is set.
SET_BOTH = r"""pixels => [...document.querySelectorAll('.math > math')].map(math => {
    const seen = formula => {
        document.body.append(formula);
        const start = formula.getBoundingClientRect();
        const parts = [...formula.querySelectorAll('mjx-c, mjx-line, mjx-mtd, mjx-mspace')];
        const all = parts.map(part => {
            const {left, top} = part.getBoundingClientRect();
            const glyph = part.tagName === 'MJX-C' ? part.className : part.tagName;
            return [glyph, left - start.left, top - start.top];
        });
        formula.remove();
        return all;
    };
    const tex = math.getAttribute('alttext'), display = math.getAttribute('display') === 'block';
    const same = tex.replaceAll('\\mathcal', '\\mathscr').replaceAll('\\varnothing', '\\emptyset');
    const latex = seen(MathJax.tex2chtml(same, {display}));
    const source = math.outerHTML.replaceAll(' rspace="0.167em"', '');  // for other readers
    const mathml = seen(MathJax.mathml2chtml(source));
    const isEqual = ([glyph, left, top], [other, x, y]) =>
        glyph === other && Math.abs(left - x) <= pixels && Math.abs(top - y) <= pixels;
    return [tex, latex.length && latex.length === mathml.length
        && latex.every((part, index) => isEqual(part, mathml[index]))];
})"""


def set_both(folder, sources, change=""):
    """Each formula, and whether its LaTeX and the MathML of the EPUB are set alike."""
    script = (SITE / "_static" / "mathjax" / "tex-mml-chtml.js").as_uri()
    page = folder / "formulas.html"
    places = "".join(f'<{tag} class="math">\\({tex}\\)</{tag}>' for tag, tex in sorted(sources))
    page.write_text(
        "<script>window.MathJax = {startup: {typeset: false}}</script>"
        f'<script defer src="{script}"></script><article>{places}</article>',
        encoding="utf-8",
    )
    with opened(page) as browser:
        browser.evaluate(CONVERT)
        if change:
            browser.evaluate(change)
        return browser.evaluate(SET_BOTH, 3)


def test_mathml_of_every_formula_of_the_book_is_set_like_its_latex(tmp_path):
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine: no formula was set")
    sources = set()
    for name, _ in read_names():
        html = (SITE / f"{name}.html").read_text(encoding="utf-8")
        article = html[html.index("<article") : html.index("</article>")]
        found = FORMULA.findall(article)
        assert len(found) == article.count(' class="math '), name
        sources |= set(found)
    formulas = set_both(tmp_path, sources)
    assert len(formulas) == len(sources) > 800
    assert [tex for tex, is_alike in formulas if not is_alike] == []
    spoilt = "() => { document.querySelector('mfrac > mi').textContent = 'c'; }"
    formulas = set_both(tmp_path, {("span", r"\frac{a}{b}"), ("span", "a^b")}, spoilt)
    assert [tex for tex, is_alike in formulas if not is_alike] == [r"\frac{a}{b}"]


def test_the_epub_has_each_formula_in_mathml_and_each_figure_with_its_alternative(epub):
    formulas, images = 0, 0
    for page in read_part().pages:
        formulas += len(page.article.select(".math"))
        images += len([i for i in page.article.find_all("img") if "Colab" not in i["alt"]])
    trees = {n: ElementTree.fromstring(text) for n, text in epub.items() if n.endswith(".xhtml")}
    found = [math for tree in trees.values() for math in tree.iter(MATHML)]
    in_contents = sum(len(list(trees["OEBPS/nav.xhtml"].iter(MATHML))) for _ in [0])
    assert len(found) - in_contents == formulas > 200 and all(math.get("alttext") for math in found)
    pictures = [
        i for name, tree in trees.items() for i in tree.iter(f"{XHTML}img") if "title" not in name
    ]
    assert len(pictures) == images > 10 and all(image.get("alt") for image in pictures)
    for image in pictures:
        assert f"OEBPS/{image.get('src')}" in epub
    text = "".join(text.decode() for name, text in epub.items() if name.endswith(".xhtml"))
    assert "\\(" not in text and "<pre xmlns" not in text and "<pre>" in text
    assert read_imprint(read_part()).commit in epub["OEBPS/title.xhtml"].decode()


def test_epubcheck_finds_no_error(editions):
    program = shutil.which("epubcheck")
    if program is None:
        pytest.skip("no epubcheck on this machine: the EPUB was not checked by it")
    is_jar = Path(program).read_bytes()[:2] == b"PK"  # Debian's needs help to start by itself
    command = [*(["java", "-jar"] if is_jar else []), program, next(editions.glob("*.epub"))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:] + run.stdout[-500:]


def test_the_first_page_links_only_to_editions_that_are_there(tmp_path):
    page = tmp_path / "book" / "index.html"
    page.parent.mkdir()
    page.write_text(
        '<p class="edition edition-pdf">As a PDF</p><p class="edition edition-epub">E</p>'
    )
    link_editions(tmp_path, language="en")
    assert "href" not in page.read_text() and page.read_text().count(" hidden>") == 2
    path = edition_path(tmp_path, "pdf", language="en")
    path.parent.mkdir()
    path.write_bytes(b"0" * 2_000_000)
    link_editions(tmp_path, language="en")
    link_editions(tmp_path, language="en")
    link = '<a href="../editions/llm-foundations-book.pdf">As a PDF</a> (2 MB)'
    assert page.read_text() == (
        f'<p class="edition edition-pdf">{link}</p><p class="edition edition-epub" hidden>E</p>'
    )
    path.unlink()
    link_editions(tmp_path, language="en")
    assert page.read_text().count(" hidden>") == 2
    assert 'class="edition edition-pdf"' in (SITE / "book" / "index.html").read_text()


def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(EditionError, match=r"there is no built site in .*: `make book` builds it"):
        read_site(tmp_path)
    (tmp_path / "index.html").write_text("")
    with pytest.raises(EditionError, match=r"the page book/index of _toc.yml is missing"):
        read_site(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.html").write_text("<p>no heading</p>")
    with pytest.raises(EditionError, match=r"index.html has no article with a heading"):
        read_site(tmp_path)
    with pytest.raises(EditionError, match="git knows no commit"):
        shutil.copy(imprint.ROOT / "_config.yml", tmp_path)
        read_imprint(read_part(), tmp_path)
    monkeypatch.setattr(built_site, "WORDS", {"zh": {}})
    with pytest.raises(EditionError, match="the site's language is 'en'; WORDS has zh"):
        read_site(only=PART[:1])
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    message = "no Chromium on this machine, looked for chromium, "
    with pytest.raises(EditionError, match=message), opened(tmp_path / "index.html"):
        pass


def test_the_command_says_in_one_line_what_is_missing(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "tools.editions", "pdf", "--site", str(tmp_path)],
        cwd=built_site.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == f"no pdf: there is no built site in {tmp_path}: `make book` builds it\n"
