"""The EPUB: the same parts as XHTML, with formulas in MathML.

The formulas are converted by MathJax, which sets them on the site: what it can set there, it can
write as MathML. The browser that runs it also writes the pages as XHTML.
"""

from __future__ import annotations

import html
import json
import re
import tempfile
import uuid
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.editions.articles import Part, make_parts
from tools.editions.built_site import BuiltSite, EditionError
from tools.editions.chromium import opened
from tools.editions.headings import Heading, read_headings
from tools.editions.imprint import Imprint

STYLE = Path(__file__).with_name("epub.css")
MATHJAX = {"startup": {"typeset": False}}
CONVERT = Path(__file__).with_name("mathml.js").read_text(encoding="utf-8")
IMAGE = re.compile(r'src="(file:[^"]+)"')
LINK = re.compile(r'href="#([^"]+)"')
LIGHT = re.compile(r'^html\[data-theme="light"\] (\.highlight \..*)$', re.MULTILINE)
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
  lang="{language}" xml:lang="{language}">
<head><title>{title}</title><link rel="stylesheet" type="text/css" href="book.css"/></head>
<body>{body}</body></html>
"""
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""
TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".gif": "image/gif"}


def write_epub(site: BuiltSite, path: Path, imprint: Imprint) -> None:
    """Write the book as an EPUB 3.

    Parameters
    ----------
    site
        The built site, whose articles are changed.
    path
        The file to write.
    imprint
        Title, authors, licence, commit and date.

    Raises
    ------
    EditionError
        If Chromium is missing or a formula cannot be converted.
    """
    parts = make_parts(site)
    headings = list(read_headings(parts))
    homes = {part.key: part.key for part in parts}
    for part in parts:
        for place in part.article.select("span.on-page"):
            place.decompose()
        homes |= {str(element["id"]): part.key for element in part.article.find_all(id=True)}
    pictures: dict[str, Path] = {}  # by their names in the EPUB
    files = {"title.xhtml": _page(imprint.title, title_page(site, imprint), site.language)}
    files["nav.xhtml"] = _page(
        site.words["contents"],
        make_navigation(headings, homes, site.words["contents"]),
        site.language,
    )
    for part, article in zip(parts, convert(site, parts), strict=True):
        body = IMAGE.sub(lambda found: f'src="{_take(found[1], pictures)}"', article)
        body = LINK.sub(lambda found: f'href="{_address(found[1], homes)}"', body)
        files[f"{part.key}.xhtml"] = _page(part.title, body, site.language)
    styles = (site.folder / "_static" / "pygments.css").read_text(encoding="utf-8")
    files["book.css"] = STYLE.read_text(encoding="utf-8") + "\n".join(LIGHT.findall(styles))
    _take((site.folder / "_static" / "logo.svg").resolve().as_uri(), pictures)
    files["book.opf"] = package(imprint, site.language, files, sorted(pictures))
    pack(path, files, pictures)


def convert(site: BuiltSite, parts: list[Part]) -> list[str]:
    """Return the article of each part in XHTML, with formulas in MathML.

    Parameters
    ----------
    site
        The built site, whose MathJax is used.
    parts
        The parts of the book.

    Returns
    -------
    articles : list of str
        In their order.

    Raises
    ------
    EditionError
        If Chromium is missing or a formula cannot be converted.
    """
    mathjax = (site.folder / "_static" / "mathjax" / "tex-chtml.js").as_uri()
    articles = "".join(str(part.article) for part in parts)
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "book.html"
        document.write_text(
            f'<!DOCTYPE html><html lang="{site.language}"><head><meta charset="utf-8">'
            f"<script>window.MathJax = {json.dumps(MATHJAX)}</script>"
            f'<script defer src="{mathjax}"></script></head><body>{articles}</body></html>',
            encoding="utf-8",
        )
        with opened(document) as page:
            converted = [str(article) for article in page.evaluate(CONVERT)]
    wrong = [found for article in converted for found in re.findall(r"<merror.*?</math>", article)]
    if wrong:
        raise EditionError(f"{len(wrong)} formulas cannot be converted, the first: {wrong[0]}")
    return converted


def _page(title: str, body: str, language: str) -> str:
    """Return a page in XHTML."""
    return PAGE.format(title=html.escape(title), body=body, language=language)


def _take(address: str, pictures: dict[str, Path]) -> str:
    """Take a picture into the EPUB, and return its name there."""
    path = Path(unquote(urlsplit(address).path))
    name = f"images/{path.name}"
    pictures[name] = path
    return name


def _address(key: str, homes: dict[str, str]) -> str:
    """Return where an id of the book lies; a page itself is its file."""
    home = homes.get(key)
    if home is None:
        raise EditionError(f"a link leads to #{key}, which is not in the book")
    return f"{home}.xhtml" + ("" if home == key else f"#{key}")


def title_page(site: BuiltSite, imprint: Imprint) -> str:
    """Return the first page: title, authors, licence, commit and date."""
    made = site.words["made"].format(date=imprint.date, commit=imprint.commit)
    facts = "<br/>".join(html.escape(line) for line in (imprint.rights, made, imprint.address))
    return (
        f'<section epub:type="titlepage"><h1>{html.escape(imprint.title)}</h1>'
        f'<p>{html.escape(imprint.author)}</p><p><img src="images/logo.svg" alt=""/></p>'
        f'<p class="imprint">{facts}</p></section>'
    )


def make_navigation(headings: list[Heading], homes: dict[str, str], title: str) -> str:
    """Return the contents as lists in lists.

    Parameters
    ----------
    headings
        The headings of the book, in order.
    homes
        The key of the part in which each id lies.
    title
        The heading of the contents.

    Returns
    -------
    navigation : str
        An element ``nav``.
    """
    lines, depth = [], 0
    for heading in headings:
        level = min(heading.level, depth + 1)
        lines.append("<ol>" if level > depth else "</li>" + "</ol></li>" * (depth - level))
        link = f"{homes[heading.key]}.xhtml#{heading.key}"
        lines.append(f'<li><a href="{link}">{html.escape(heading.text)}</a>')
        depth = level
    lines.append("</li></ol>" * depth)
    return f'<nav epub:type="toc" id="toc"><h1>{title}</h1>{"".join(lines)}</nav>'


def package(imprint: Imprint, language: str, files: dict[str, str], pictures: list[str]) -> str:
    """Return the package document: metadata, all files, and the order of reading.

    Parameters
    ----------
    imprint
        Title, authors, licence, commit and date.
    language
        The language of the book.
    files
        The texts by their names; pages end in ``.xhtml`` and stand in the order of reading.
    pictures
        The names of the pictures.

    Returns
    -------
    package : str
        The document in XML.
    """
    book = uuid.uuid5(uuid.NAMESPACE_URL, f"{imprint.address}#{language}")
    pages = [name for name in files if name.endswith(".xhtml")]
    items = [_item(name, files[name]) for name in pages]
    items.append('<item id="style" href="book.css" media-type="text/css"/>')
    for name in pictures:
        cover = ' properties="cover-image"' if name == "images/logo.svg" else ""
        kind = TYPES[Path(name).suffix]
        items.append(f'<item id="{_id(name)}" href="{name}" media-type="{kind}"{cover}/>')
    spine = "".join(f'<itemref idref="{_id(name)}"/>' for name in pages)
    features = "MathML alternativeText structuralNavigation tableOfContents readingOrder".split()
    access = "".join(
        f'<meta property="schema:{name}">{value}</meta>'
        for name, value in [
            *(("accessibilityFeature", feature) for feature in features),
            ("accessMode", "textual"),
            ("accessMode", "visual"),
            ("accessModeSufficient", "textual"),
            ("accessibilityHazard", "none"),
        ]
    )
    texts = {
        "title": imprint.title,
        "creator": imprint.author,
        "language": language,
        "rights": imprint.rights,
        "date": imprint.date,
        "source": f"{imprint.address}, commit {imprint.commit}",
    }
    facts = "".join(f"<dc:{name}>{html.escape(text)}</dc:{name}>" for name, text in texts.items())
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="book">urn:uuid:{book}</dc:identifier>
{facts}<meta property="dcterms:modified">{imprint.date}T00:00:00Z</meta>{access}</metadata>
<manifest>{"".join(items)}</manifest>
<spine>{spine}</spine>
</package>
"""


def _id(name: str) -> str:
    """Return the id of a file in the package document."""
    return "file-" + re.sub(r"[^\w.-]", "-", name)


def _item(name: str, text: str) -> str:
    """Return the line of a page in the package document."""
    found = {"nav": 'epub:type="toc"', "mathml": "<math ", "svg": "<svg "}
    properties = " ".join(word for word, sign in found.items() if sign in text)
    attribute = f' properties="{properties}"' if properties else ""
    return f'<item id="{_id(name)}" href="{name}" media-type="application/xhtml+xml"{attribute}/>'


def pack(path: Path, files: dict[str, str], pictures: dict[str, Path]) -> None:
    """Write the archive; the same content makes the same bytes.

    Parameters
    ----------
    path
        The file to write.
    files
        The texts by their names.
    pictures
        The pictures by their names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {"META-INF/container.xml": CONTAINER.encode()}
    contents |= {f"OEBPS/{name}": text.encode() for name, text in files.items()}
    contents |= {f"OEBPS/{name}": pictures[name].read_bytes() for name in sorted(pictures)}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")  # first, and as it is
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
