"""What every page gets when the site is built: times, anchors on checks, marked parts, previews.

Reads what the pages say themselves: the line that begins "You will **derive**" is the box of
objectives, the section "Summary" the box of what was built.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from docutils import nodes

from tools import book_facts as facts
from tools.book_site import Generated, all_pages
from tools.notebooks import address

# What a preview shows, in the pages that Sphinx writes.
FORMULA = re.compile(
    r'<div class="math[^"]*" id="(equation-eq-[\w-]+)">\s*<span class="eqno">.*?</span>(.*?)</div>',
    re.S,
)
TERM = re.compile(r'((?:<dt id="term-[^"]*">.*?</dt>)+)<dd>(.*?)</dd>', re.S)
ENTRY = re.compile(r'<div class="citation" id="(id\d+)".*?(<p>.*?</p>)\s*</div>', re.S)


def mark(app, doctree) -> None:
    """Times below the title, classes on objectives and summary, anchors on the cells that check."""
    name = app.env.docname
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None or name not in app.env.found_docs:
        return
    page = facts.page(name)
    if page.words > 250 and name.startswith(("book/0", "notebooks/")):
        title.parent.insert(
            1, nodes.paragraph("", "", nodes.Text(line(page)), classes=["page-facts"])
        )
    for paragraph in doctree.findall(nodes.paragraph):
        if paragraph.astext().startswith("You will derive"):
            paragraph["classes"].append("objectives")
    for section in doctree.findall(nodes.section):
        if section[0].astext() == "Summary":
            section["classes"].append("what-you-built")
    own = {equation.label for equation in facts.equations(name)}
    for cell in doctree.findall(nodes.container):
        if "cell" in cell.get("classes", []):
            anchor_checks(app, name, cell, own)


def line(page: facts.Page) -> str:
    """The times of one page, and where its stored outputs come from."""
    parts = [f"{page.reading_minutes:.0f} minutes to read"]
    if page.running_seconds and page.results:
        where = (
            f"{page.results['device'].upper()}, {page.results['machine']}, {page.results['date']}"
        )
        parts.append(f"{facts.duration(page.running_seconds)} to run, when last run ({where})")
        parts.append("a GPU is used where there is one, and not needed")
    return " · ".join(parts)


def anchor_checks(app, name: str, cell: nodes.container, own: set[str]) -> None:
    """An anchor check-LABEL, known to {ref}, on the cell that checks a formula of its own page."""
    code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
    domain = app.env.get_domain("std")
    for label in dict.fromkeys(facts.CHECK.findall(code)):
        anchor = f"check-{label}"
        if label in own and anchor not in domain.anonlabels:  # its first check
            cell["ids"].append(anchor)
            domain.note_hyperlink_target(anchor, name, anchor, f"check of {label}")


def previews(app, error) -> None:
    """Write what the pages show on hover: formulas, glossary terms and references, by anchor.

    A script and not a JSON file, since a page opened from the file system may load no other.
    """
    if error or app.builder.format != "html":
        return
    out, found = Path(app.outdir), {}
    for path in sorted([*out.glob("book/*.html"), *out.glob("notebooks/*.html")]):
        found |= extracts(path.read_text(encoding="utf-8"))
    text = json.dumps(found, ensure_ascii=False, sort_keys=True)
    file = out / "_static" / "preview-texts.js"
    file.write_text(f"window.previewTexts = {text};\n", encoding="utf-8")


def extracts(html: str) -> dict[str, str]:
    """{anchor: what a preview of it shows}, from a page as Sphinx writes it."""
    found = {}
    for anchor, formula in FORMULA.findall(html):
        found[anchor] = f'<div class="math">{formula}</div>'
    for terms, meaning in TERM.findall(html):
        names = re.findall(r'<dt id="(term-[^"]+)">(.*?)<', terms)
        for anchor, _ in names:
            words = " · ".join(name for _, name in names)
            found[anchor] = f"<p><strong>{words}</strong></p>{plain(meaning)}"
    for anchor, entry in ENTRY.findall(html):
        found[anchor] = plain(entry)
    return found


def plain(html: str) -> str:
    """A piece of a page without its links: it is shown elsewhere, where they would lead astray."""
    return re.sub(r"</?a\b[^>]*>", "", html).strip()


class EquationList(Generated):
    """Every labelled formula, with links to its derivation, its code and its check."""

    def markdown(self):
        homes = in_library()
        for name in all_pages():
            equations = facts.equations(name)
            if equations:
                yield from (f"### {facts.page(name).title}", "")
            for e in equations:
                yield from ("$$", e.formula, "$$", "")
                yield "```{div} equation-links"
                yield f"**{e.name}** · derived at {{eq}}`{e.label}` · "
                if e.proof:
                    yield f"{{ref}}`code and check <check-{e.label}>` · "
                if e.label in homes:
                    file = f"utils/{homes[e.label]}"
                    yield f"[{file}]({address()}/blob/main/{file}) · "
                yield from (e.proof or "a definition", "```", "")


def in_library() -> dict[str, str]:
    """{label: module of utils whose docstrings name it}."""
    return {
        label: path.name for path in sorted((facts.ROOT / "utils").glob("*.py"))
        for label in re.findall(r"``(eq-[\w-]+)``", path.read_text(encoding="utf-8"))
    }  # fmt: skip


def setup(app) -> dict:
    app.add_directive("equation-list", EquationList)
    app.connect("doctree-read", mark)
    app.connect("build-finished", previews)
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
