"""A Sphinx extension that puts the Chinese into the pages as they are parsed.

Sphinx's own way replaces parsed paragraphs by parsed translations: it loses the fragments of
MyST's links, and takes as long again as the reading of the book. Here MyST reads the Chinese in
the place of the English within each paragraph, so that links, formulas, roles and labels work as
everywhere. What Sphinx calls the source of a paragraph stays English, and so do the anchors of
headings: a title is replaced when they have been made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import myst_nb.sphinx_
import myst_parser.parsers.sphinx_
from docutils import nodes
from docutils.utils import new_document
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from myst_parser.mdit_to_docutils.base import clean_astext
from myst_parser.parsers.sphinx_ import MystParser
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

from tools.translation.catalogues import (
    FIRST_PAGE,
    LOCALE,
    _,
    catalogue_path,
    translate,
    translate_anywhere,
    use_language,
)
from tools.translation.markdown import parse_inline
from tools.translation.pictures import translate_box, translate_built_pictures
from tools.translation.search import ChineseSearch, write_dictionary

MakeParser = Callable[..., MarkdownIt]
USERS_OF_PARSERS: list[Any] = [myst_nb.sphinx_, myst_parser.parsers.sphinx_]


def translating(make_parser: MakeParser) -> MakeParser:
    """Return a maker of parsers that read Chinese in the place of English."""

    def make(*arguments: Any, **options: Any) -> MarkdownIt:
        """Make a parser, and replace its rule for what stands within paragraphs."""
        md = make_parser(*arguments, **options)
        md.core.ruler.at("inline", read_chinese)
        return md

    return make


def read_chinese(state: StateCore) -> None:
    """Parse what stands within paragraphs, in Chinese where it has been translated.

    Parameters
    ----------
    state
        The parsed blocks of a page, or one text of a directive.
    """
    name = state.md.options["document"].settings.env.docname
    before = ""
    for token in state.tokens:
        if token.type == "inline":
            is_heading = before == "heading_open"
            text = token.content if is_heading else translate(token.content, name)
            token.children = token.children or []
            parse_inline(text, state.md, state.env, token.children)
        before = token.type


class TranslateTitles(SphinxTransform):
    """Put the Chinese into titles, captions of the contents, alt texts and live boxes."""

    default_priority = 110  # after the toctrees of sphinx-external-toc, before labels are resolved

    def apply(self, **options: Any) -> None:
        """Change the page; Sphinx calls this."""
        if self.config.language != LOCALE or "<translated>" in str(self.document["source"]):
            return
        name = self.env.docname
        for catalogue in (name, "shared", "pictures"):
            self.env.note_dependency(str(catalogue_path(catalogue)))
        self.translate_titles(name)
        for toctree in self.document.findall(addnodes.toctree):
            if toctree.get("caption"):
                toctree["caption"] = translate(toctree["caption"], name)
        for image in self.document.findall(nodes.image):
            if image.get("alt"):
                image["alt"] = translate(image["alt"], name)
        for raw in list(self.document.findall(nodes.raw)):
            if 'class="live-box"' in raw.astext():
                raw.replace_self(nodes.raw("", translate_box(raw.astext()), format="html"))

    def translate_titles(self, name: str) -> None:
        """Replace the titles of a page, and tell links without a text of their own."""
        slugs = dict(getattr(self.document, "myst_slugs", {}))
        for title in [*self.document.findall(nodes.title), *self.document.findall(nodes.rubric)]:
            english = title.rawsource
            chinese = translate(english, name)
            chinese = translate_anywhere(english) if chinese == english else chinese
            if chinese != english:
                title.children = []
                title.extend(self.parse(chinese))
            slug = title.parent.get("slug") if isinstance(title.parent, nodes.section) else None
            if slug in slugs:
                line, anchor, _english = slugs[slug]
                slugs[slug] = (line, anchor, clean_astext(title))
        self.document.myst_slugs = slugs
        self.env.metadata[name]["myst_slugs"] = slugs

    def parse(self, text: str) -> list[nodes.Node]:
        """Return a text as the parts of a paragraph."""
        document = new_document(f"{self.document['source']}:<translated>", self.document.settings)
        MystParser().parse(text, document)
        paragraph = document[0]
        assert isinstance(paragraph, nodes.paragraph), f"{text!r} is no paragraph"
        children: list[nodes.Node] = paragraph.children
        return children


def set_language(_app: Sphinx, config: Config) -> None:
    """Set the language of what the tools write, and the texts that the configuration holds.

    Parameters
    ----------
    config
        The configuration of the build that begins.
    """
    use_language(config.language)
    if config.language != LOCALE:
        return
    config.html_title = config.project = translate(config.html_title or config.project, FIRST_PAGE)
    config.author, config.copyright = _(config.author), _(config.copyright)
    config.nb_code_prompt_show = _("Show code cell {type}")
    config.nb_code_prompt_hide = _("Hide code cell {type}")
    config.togglebutton_hint = _("Click to show")
    config.togglebutton_hint_hide = _("Click to hide")
    config.html_search_options = {"dict": str(write_dictionary())}


def mark_untranslatable(app: Sphinx, doctree: nodes.document) -> None:
    """Keep formulas out of the catalogues.

    Parameters
    ----------
    app
        The running build; only that of the templates is meant.
    doctree
        A page, changed in place.
    """
    if app.builder.name == "gettext":
        for formula in doctree.findall(nodes.math_block):
            formula["translatable"] = False


def finish_pictures(app: Sphinx, error: Exception | None) -> None:
    """Translate the pictures that pages show as files."""
    if error is None and app.builder.format == "html" and app.config.language == LOCALE:
        translate_built_pictures(app.outdir)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the language and its parser; Sphinx calls this."""
    if app.config.language == LOCALE:
        for module in USERS_OF_PARSERS:
            if module.create_md_parser.__name__ != "make":
                module.create_md_parser = translating(module.create_md_parser)
    app.connect("config-inited", set_language, priority=100)
    app.connect("doctree-read", mark_untranslatable, priority=100)
    app.connect("build-finished", finish_pictures)
    app.add_search_language(ChineseSearch)
    app.add_transform(TranslateTitles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
