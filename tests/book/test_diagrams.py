"""The diagrams: their files, what can be wrong with them, their colours, their place in pages."""

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document

from tools import book_diagrams
from tools.diagrams import labels
from tools.diagrams.checks import problems
from tools.diagrams.gallery import diagrams, files, variants
from tools.diagrams.palette import COLOURS, stylesheet
from tools.diagrams.shapes import Circle, Label, Rectangle
from tools.diagrams.vocabulary import Diagram

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
SVG = "{http://www.w3.org/2000/svg}"


def test_committed_files_are_what_the_code_draws():
    committed = {path.name: path.read_text("utf-8") for path in STATIC.glob("diagrams/*.svg")}
    differing = {
        name for name, svg in (committed | files()).items() if committed.get(name) != svg
    } | (committed.keys() - files().keys())
    assert not differing, f"run python -m tools.diagrams: {differing}"
    assert (STATIC / "diagrams.css").read_text("utf-8") == stylesheet()


def test_no_label_touches_anything_and_no_line_runs_through_a_box():
    found = {name: problems(diagram) for name, diagram in diagrams().items()}
    assert not any(found.values()), found


def test_every_part_is_emphasized_somewhere_and_the_rest_is_faded():
    for name, diagram in diagrams().items():
        for variant, parts in diagram.variants.items():
            shapes = diagram.drawn(parts)
            assert len(shapes) == len(diagram.shapes)
            clear = [shape for shape, of in diagram.shapes if not of.isdisjoint(parts)]
            assert clear and all(shape in shapes for shape in clear), (name, variant)
            assert diagram.svg(variant) != diagram.svg(), (name, variant)
        with pytest.raises(ValueError, match="choose from"):
            diagram.drawn(["no such part"])


def test_a_file_is_an_image_with_a_title_a_description_and_text():
    assert files().keys() == {f"{name}.svg" for name in variants()}
    for name, svg in files().items():
        root = ET.fromstring(svg)
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert root.get("role") == "img", name
        assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")], name
        assert len(title.text) > 10 and len(description.text) > 100, name
        assert len(list(root.iter(f"{SVG}text"))) >= 4, name
        assert root.find(f"{SVG}style") is None and "url(" not in svg, name


# ---- colours ------------------------------------------------------------------------------------


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(a * b for a, b in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def ground_of(label, shapes):
    """The name of the colour behind a label: of the last filled shape around its middle."""
    ground, bounds = "ground", label.bounds()
    x, y = (bounds.left + bounds.right) / 2, label.y
    for shape in shapes:
        if isinstance(shape, Rectangle | Circle) and shape.fill != "none":
            around = shape.bounds()
            if around.left < x < around.right and around.top < y < around.bottom:
                ground = shape.fill
    return ground


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_its_ground_in_every_file(theme):
    pairs = set()
    for diagram, variant in variants().values():
        shapes = diagram.drawn(diagram.variants[variant] if variant else diagram.emphasis)
        found = [shape for shape in shapes if isinstance(shape, Label)]
        pairs |= {(label.colour, ground_of(label, shapes)) for label in found}
    assert len(pairs) > 10
    for text, ground in pairs:
        colours = [getattr(COLOURS[name], theme) for name in (text, ground)]
        assert contrast(*colours) >= 4.5, (text, ground)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_outlines_stand_out_from_the_ground(theme):
    ground = getattr(COLOURS["ground"], theme)
    for name in "plain embedding state attention layer output loss line".split():
        assert contrast(getattr(COLOURS[name], theme), ground) >= 3, name


def test_the_style_sheet_knows_every_colour_of_the_files():
    css = stylesheet()
    used = set(re.findall(r'(?:fill|stroke)="#\w+"', "".join(files().values())))
    assert used and all(f"svg.diagram [{attribute}]" in css for attribute in used)
    by_light = {}
    for colour in COLOURS.values():  # the files know a colour by its light version
        assert by_light.setdefault(colour.light, colour.dark) == colour.dark


# ---- the checks ---------------------------------------------------------------------------------


@pytest.fixture
def diagram():
    d = Diagram("d", "A title", "A description")
    d.box(200, 100, 120, "a box", "layer")
    return d


def test_a_sound_diagram_has_no_problems(diagram):
    diagram.arrow((200, 200), (200, 116), label="(B, D)")
    diagram.text(60, 100, "beside $h_{t-1}$")
    assert problems(diagram) == []


@pytest.mark.parametrize(
    "draw, problem",
    [
        (lambda d: d.text(395, 20, "outside"), "outside the picture"),
        (lambda d: d.text(50, 20, "small $x_{t}$", size=12), "small on a phone"),
        (lambda d: d.text(210, 102, "again"), "labels meet"),
        (lambda d: d.text(138, 100, "edge"), "label on an edge"),
        (lambda d: d.box(50, 20, 30, "much too long"), "label on an edge"),
        (lambda d: d.text(50, 200, "line") or d.arrow((50, 300), (50, 20)), "label on a line"),
        (lambda d: d.arrow((200, 200), (200, 10)), "line through a box"),
    ],
)
def test_what_is_wrong_is_found(diagram, draw, problem):
    draw(diagram)
    assert any(line.startswith(problem) for line in problems(diagram)), problems(diagram)


def test_labels_with_formulas():
    assert labels.plain("state $h_{t-1}$") == "state ht−1"
    levels = [(run.text, run.italic, run.level) for run in labels.parse("$x^{(2)}_t$ a")]
    assert levels == [
        ("x", True, 0),
        ("(2)", False, 1),
        ("t", True, -1),
        (" a", False, 0),
    ]
    assert "&lt;" in labels.svg("a < $b$", 14) and "<tspan" in labels.svg("a < $b$", 14)
    assert 30 < labels.width("hidden", 10) < 45 < labels.width("hidden", 14)
    stacked, apart = labels.width("$h^e_t$", 14), labels.width("$h^e h_t$", 14)
    assert labels.width("$h^e$", 14) <= stacked < apart


CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
INK_AND_GROUND = """() => [...document.querySelectorAll('svg.diagram')].map(svg =>
    ['text', 'rect'].map(tag => getComputedStyle(svg.querySelector(tag)).fill))"""
OUTSIDE = """() => [...document.querySelectorAll('svg.diagram text')].filter(text => {
    const own = text.getBoundingClientRect(), view = text.closest('svg').getBoundingClientRect();
    return own.left < view.left || own.right > view.right
        || own.top < view.top || own.bottom > view.bottom;
}).map(text => text.textContent)"""


def test_a_browser_shows_the_colours_of_the_theme_and_all_text_inside():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the diagrams were not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    drawn = "".join(diagram.svg() for diagram in diagrams().values())
    html = f"<html data-theme='dark'><style>{stylesheet()}</style><main>{drawn}</main></html>"
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        page = chromium.new_page(viewport={"width": 390, "height": 900})
        page.set_content(html)
        dark = page.evaluate(INK_AND_GROUND)
        outside = page.evaluate(OUTSIDE)
        page.emulate_media(media="print")
        printed = page.evaluate(INK_AND_GROUND)
        chromium.close()
    assert len(dark) == len(diagrams()) and outside == []
    assert {ground for _, ground in dark} == {"rgb(18, 18, 18)"}
    assert {ground for _, ground in printed} == {"rgb(255, 255, 255)"}
    assert all(one[0] != other[0] for one, other in zip(dark, printed, strict=True))


# ---- in pages -----------------------------------------------------------------------------------


def page_of(*images, builder="html", language="en", srcdir=STATIC.parents[1]):
    """A page with images, after the extension has seen it."""
    document = new_document("page")
    for uri, attributes in images:
        document += nodes.image(uri=uri, **attributes)
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html", name=builder),
        config=SimpleNamespace(language=language),
        srcdir=srcdir,
    )
    book_diagrams.inline_diagrams(app, document, "page")
    return document


LSTM = "book/_static/diagrams/lstm.svg"


def test_diagrams_take_the_place_of_their_images():
    other = ("book/_static/map.svg", {"alt": "A map"})
    images = [(LSTM, {}), other, (LSTM, {"alt": "The <cell> again", "width": "20em"})]
    first, unchanged, second = page_of(*images).children
    assert unchanged["uri"] == other[0]
    assert [raw["format"] for raw in (first, second)] == ["html", "html"]
    html = f"<div>{first.astext()}{second.astext()}</div>"
    roots = ET.fromstring(html).findall(f"{SVG}svg")
    named = [[root.find(f"{SVG}title"), root.find(f"{SVG}desc")] for root in roots]
    ids = [element.get("id") for elements in named for element in elements]
    assert len(set(ids)) == 4
    assert [root.get("aria-labelledby") for root in roots] == [" ".join(ids[:2]), " ".join(ids[2:])]
    assert named[0][0].text == "One step of an LSTM" and named[1][0].text == "The <cell> again"
    assert all("forget" in "".join(root.itertext()) for root in roots)
    assert roots[1].get("style") == "max-width: 20em" and roots[0].get("style") is None


def test_other_formats_keep_the_image():
    (image,) = page_of((LSTM, {}), builder="epub").children
    assert isinstance(image, nodes.image)


def test_labels_are_translated_where_there_is_a_catalogue(monkeypatch):
    words = {"forget": "遗忘"}
    monkeypatch.setattr(book_diagrams, "read_translations", lambda name: words)
    (raw,) = page_of((LSTM, {}), language="zh_CN")
    assert ">遗忘<" in raw.astext() and ">candidate<" in raw.astext()


def test_the_template_has_every_label_with_words(tmp_path):
    app = SimpleNamespace(builder=SimpleNamespace(name="gettext"), outdir=tmp_path)
    book_diagrams.write_template(app, None)
    template = (tmp_path / "diagrams.pot").read_text("utf-8")
    assert '#. lstm\nmsgid "forget"\nmsgstr ""\n' in template
    assert 'msgid "One step of an LSTM"' in template and r'"half of the\nhidden units"' in template
    messages = re.findall('^msgid "(.+)"$', template, re.MULTILINE)
    assert len(messages) == len(set(messages)) > 100
