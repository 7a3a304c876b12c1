"""Parts of every page that are made when the site is built, and the list of equations.

A page gets its times below the title, classes on the box of objectives (the paragraph that begins
"You will derive") and on the section "Summary", an anchor on each cell that checks a formula, and
previews of formulas, terms and references on hover.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.book_facts import CHECK, Equation, Page, format_duration, read_equations, read_page
from tools.chinese_words import mark_chinese, without_marks
from tools.contents import ROOT, page_names
from tools.directives import GeneratedDirective
from tools.repository import repository_address
from tools.translation.catalogues import _, translate

MIN_WORDS = 250  # of a page that shows its times

# What a preview shows, in the pages that Sphinx writes.
FORMULA_HTML = re.compile(
    r'<div class="math[^"]*" id="(equation-eq-[\w-]+)">\s*<span class="eqno">.*?</span>(.*?)</div>',
    re.DOTALL,
)
TERM_HTML = re.compile(r'((?:<dt id="term-[^"]*">.*?</dt>)+)<dd>(.*?)</dd>', re.DOTALL)
TERM_NAME_HTML = re.compile(r'<dt id="(term-[^"]+)">(.*?)<')
REFERENCE_HTML = re.compile(
    r'<div class="citation" id="(id\d+)".*?(<p>.*?</p>)\s*</div>', re.DOTALL
)


def add_parts(app: Sphinx, doctree: nodes.document) -> None:
    """Add the times, the classes and the anchors to a page that was read.

    Parameters
    ----------
    app
        The running build, which is at this page.
    doctree
        The page, changed in place.
    """
    name = app.env.docname
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None or name not in app.env.found_docs:
        return
    page = read_page(name)
    if page.words > MIN_WORDS and name.startswith(("book/0", "notebooks/")):
        times = nodes.paragraph("", "", nodes.Text(times_line(page)), classes=["page-facts"])
        title.parent.insert(1, times)
    for paragraph in doctree.findall(nodes.paragraph):
        source = paragraph.rawsource.replace("*", "")  # in English, in each language
        if source.startswith("You will derive"):
            paragraph["classes"].append("objectives")
    for section in doctree.findall(nodes.section):
        if getattr(section[0], "rawsource", "") == "Summary":
            section["classes"].append("what-you-built")
    labels = {equation.label for equation in read_equations(name)}
    for container in doctree.findall(nodes.container):
        if "cell" in container.get("classes", []):
            add_check_anchors(app, container, labels)


def times_line(page: Page) -> str:
    """Return the times of a page and, if it stores results, on what machine they were measured."""
    parts = [_("{} minutes to read").format(f"{page.reading_minutes:.0f}")]
    if page.running_seconds and page.results:
        results = page.results
        machine = f"{results['device'].upper()}, {results['machine']}, {results['date']}"
        duration = format_duration(page.running_seconds)
        parts.append(_("{} to run, when last run ({})").format(duration, machine))
        parts.append(_("a GPU is used where there is one, and not needed"))
    return " · ".join(parts)


def add_check_anchors(app: Sphinx, cell: nodes.container, labels: Collection[str]) -> None:
    """Add the anchor ``check-LABEL``, a target of ``{ref}``, to the first check of each formula.

    Parameters
    ----------
    app
        The running build, which is at the page of the cell.
    cell
        A code cell of a notebook.
    labels
        The labels of the formulas of its page.
    """
    code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
    domain = app.env.domains["std"]
    for label in dict.fromkeys(CHECK.findall(code)):
        anchor = f"check-{label}"
        if label in labels and anchor not in domain.anonlabels:  # not checked before
            cell["ids"].append(anchor)
            domain.note_hyperlink_target(anchor, app.env.docname, anchor, f"check of {label}")


def write_previews(app: Sphinx, error: Exception | None) -> None:
    """Write what the pages show on hover of a link, by anchor, when the site is complete.

    The file is a script and not JSON, because a page opened from the file system may load no JSON.

    Parameters
    ----------
    app
        The build that ends.
    error
        What ended it early, if anything did: then nothing is written.
    """
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    previews: dict[str, str] = {}
    for path in sorted([*site.glob("book/*.html"), *site.glob("notebooks/*.html")]):
        previews |= previews_in(without_marks(path.read_text(encoding="utf-8")))
    if not app.config.language.startswith("zh"):
        previews = {anchor: mark_chinese(html) for anchor, html in previews.items()}
    text = json.dumps(previews, ensure_ascii=False, sort_keys=True)
    script = site / "_static" / "preview-texts.js"
    script.write_text(f"window.previewTexts = {text};\n", encoding="utf-8")


def previews_in(html: str) -> dict[str, str]:
    """Return what a preview of each formula, term and reference of a page shows, by anchor."""
    previews = {}
    for anchor, formula in FORMULA_HTML.findall(html):
        previews[anchor] = f'<div class="math">{formula}</div>'
    for terms, meaning in TERM_HTML.findall(html):
        names = TERM_NAME_HTML.findall(terms)
        words = " · ".join(word for _anchor, word in names)
        for anchor, _word in names:
            previews[anchor] = f"<p><strong>{words}</strong></p>{without_links(meaning)}"
    for anchor, entry in REFERENCE_HTML.findall(html):
        previews[anchor] = without_links(entry)
    return previews


def without_links(html: str) -> str:
    """Return a part of a page without its links, which are relative to that page."""
    return re.sub(r"</?a\b[^>]*>", "", html).strip()


class EquationList(GeneratedDirective):
    """Every labelled formula, with links to its derivation, its check and its code."""

    def messages(self) -> list[str]:
        """Return the names of the formulas."""
        return [equation.name for name in page_names() for equation in read_equations(name)]

    def markdown(self) -> Iterator[str]:
        """Yield a heading for each page with formulas, and each formula with its links."""
        modules = modules_by_label()
        for name in page_names():
            equations = read_equations(name)
            if equations:
                yield from (f"### {read_page(name).title}", "")
            for equation in equations:
                yield from ("$$", equation.formula, "$$", "")
                yield from ("```{div} equation-links", *equation_links(equation, modules), "```")
                yield ""


def equation_links(equation: Equation, modules: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the links of a formula, a line each, and what its check printed.

    Parameters
    ----------
    equation
        The formula.
    modules
        The modules of the library that name each label, as `modules_by_label` returns them.

    Yields
    ------
    line : str
        Markdown.
    """
    name = translate(equation.name, "book/equations")
    derived = _("derived at")
    yield f"**{name}** · {derived} {{eq}}`{equation.label}` · "
    if equation.check:
        text = _("code and check")
        yield f"{{ref}}`{text} <check-{equation.label}>` · "
    for path in modules.get(equation.label, []):
        yield f"[{path}]({repository_address()}/blob/main/{path}) · "
    yield equation.check or _("a definition")


def modules_by_label() -> dict[str, list[str]]:
    """Return, for each label, the paths of the modules of the library whose docstrings name it."""
    modules: dict[str, list[str]] = {}
    for path in sorted((ROOT / "utils").rglob("*.py")):
        labels = re.findall(r"``(eq-[\w-]+)``", path.read_text(encoding="utf-8"))
        for label in dict.fromkeys(labels):
            modules.setdefault(label, []).append(path.relative_to(ROOT).as_posix())
    return modules


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and the steps of the build; Sphinx calls this."""
    app.add_directive("equation-list", EquationList)
    app.connect("doctree-read", add_parts)
    app.connect("build-finished", write_previews)
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
