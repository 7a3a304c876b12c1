"""The built site, as a browser sees it and as a link checker sees it.

Needs `make book` first. The browser tests use Chromium and are skipped, with a line, without it.
The site is served as GitHub Pages does, compressed and below a path; other folders than
_build/html are tested with LLM_BOOK_SITE=FOLDER: _build/html/zh is the Chinese site.
"""

import gzip
import json
import os
import re
import shutil
import threading
from contextlib import contextmanager
from html import unescape
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools.benchmark_facts import collect_provenances, format_number
from tools.book_facts import read_equations, read_json, read_page
from tools.repository import site_address
from tools.results_page import without_paths
from tools.translation.site import CHINESE_SITE, own_pages

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("LLM_BOOK_SITE", ROOT / "_build" / "html")).resolve()
PAGES = sorted([*SITE.glob("book/*.html"), *SITE.glob("notebooks/*.html")])
PAGE_NAMES = [path.relative_to(SITE).with_suffix("").as_posix() for path in PAGES]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

IS_CHINESE = SITE.name == CHINESE_SITE.name
english = pytest.mark.skipif(IS_CHINESE, reason="asks for English words")
pytestmark = pytest.mark.skipif(not PAGES, reason="no site in _build/html: `make book` builds it")


WITHOUT_END = set("area base br col embed hr img input link meta source track wbr".split())
CHINESE = re.compile("[\u3400-\u9fff]+")


class Page(HTMLParser):
    """The links, anchors and images of one page, and its Chinese words by their language."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.images = [], {""}, []
        self.chinese, self.languages = [], [(None, None)]  # (words, language); of open elements
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data):
        language = self.languages[-1][1]
        self.chinese += [(words, language) for words in CHINESE.findall(data)]

    def handle_endtag(self, tag):
        names = [name for name, _ in self.languages]
        if tag in names:  # with all that was left open in it
            del self.languages[len(names) - 1 - names[::-1].index(tag) :]

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in WITHOUT_END:
            self.languages.append((tag, values.get("lang") or self.languages[-1][1]))
        self.ids.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)


@pytest.fixture(scope="module")
def parsed():
    return {path.resolve(): Page(path) for path in own_pages(SITE)}


def test_every_page_of_the_contents_was_built():
    listed = re.findall(
        r"^\s*(?:- file|root): (\S+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE
    )
    assert set(PAGE_NAMES) == set(listed)


def test_internal_links_and_anchors_resolve(parsed):
    broken, checked = [], 0
    for page, content in parsed.items():
        for link in content.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("javascript"):
                continue
            checked += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            anchors = parsed[target].ids if target in parsed else {""}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                broken.append(f"{page.name}: {link}")
    assert checked > 100 and not broken, broken[:10]


def test_images_exist_and_have_alt_text(parsed):
    for page, content in parsed.items():
        for image in content.images:
            assert image.get("alt"), f"{page.name}: no alt text on {image.get('src')}"
            if not urlsplit(image["src"]).scheme:
                file = page.parent / unquote(image["src"])
                assert file.exists(), f"{page.name}: {image['src']}"


@english
def test_chinese_words_have_their_language(parsed):
    words = [(path.name, *pair) for path, page in parsed.items() for pair in page.chinese]
    assert len(words) > 500
    assert [word for word in words if word[2] not in ("zh-Hans", "zh-Hant")] == []
    assert {words for _, words, language in words if language == "zh-Hant"} <= {"語言模型"}
    script = (SITE / "_static" / "preview-texts.js").read_text(encoding="utf-8")
    previews = json.loads(script[script.index("{") : script.rindex("}") + 1]).values()
    assert any('<span lang="zh-Hans">' in preview for preview in previews)
    unmarked = [re.sub('<span lang="zh-Han[st]">.*?</span>', "", preview) for preview in previews]
    assert [preview for preview in unmarked if CHINESE.search(preview)] == []


@english
def test_a_diagram_stands_in_its_page_as_text(parsed):
    html = (SITE / "book" / "03-algorithms.html").read_text(encoding="utf-8")
    svg = re.search(r'<svg [^>]*class="diagram".*?</svg>', html, re.DOTALL)[0]
    assert ">decoder<" in svg and "<desc" in svg and "_static/diagrams.css" in html


@english
def test_the_results_page_shows_every_stored_figure_and_every_benchmark():
    html = unescape((SITE / "book" / "results.html").read_text(encoding="utf-8"))
    html = re.sub(r"</?span[^>]*>", "", html)
    cells = re.findall(r"<t[dh][^>]*><p>(.*?)</p></t[dh]>", html)
    pages = [page for page in map(read_page, PAGE_NAMES) if page.results]
    assert len(pages) >= 15
    for page in pages:
        assert page.title in html and page.results["date"] in html
        for name, value in page.results["values"].items():
            assert name.replace("_", " ") in cells, f"{page.name}: {name}"
            assert format_number(value) in cells, f"{page.name}: {name}"
    for path in (ROOT / "book" / "results").glob("*.json"):
        for run in collect_provenances(read_json(path)):
            assert without_paths(run["command"]) in html, path.name
            assert str(run["commit"])[:7] in html, path.name
    for entry in read_json(ROOT / "book" / "published.json"):
        assert {entry["model"], entry["value"]} <= set(cells), entry


def test_the_equations_page_leads_to_each_derivation_and_check(parsed):
    links = set(parsed[(SITE / "book" / "equations.html")].links)
    equations = [equation for name in PAGE_NAMES for equation in read_equations(name)]
    assert len(equations) > 150
    for equation in equations:
        page = f"../{equation.page}.html"
        assert f"{page}#equation-{equation.label}" in links, equation.label
        has_check_link = f"{page}#check-{equation.label}" in links
        assert equation.check is None or has_check_link, equation.label


def test_the_equations_page_names_the_modules_that_compute_an_equation(parsed):
    prefix = f"{site_address()}/blob/main/"
    links = parsed[(SITE / "book" / "equations.html")].links
    modules = {link.removeprefix(prefix) for link in links if link.startswith(prefix + "utils/")}
    assert len(modules) > 20 and all((ROOT / module).is_file() for module in modules), modules


def test_every_page_tells_its_times():
    for path in SITE.glob("notebooks/*.html"):
        html = path.read_text(encoding="utf-8")
        words = r"\d+ minutes to read · \d+ \w+ to run"
        if IS_CHINESE:
            words = r"阅读约 \d+ 分钟 · 上次运行用时 \d+ "
        times = rf'class="page-facts">{words}'
        assert re.search(times, html), path.name
        assert html.count('class="objectives"') == 1, path.name
        assert html.count("what-you-built") == 1, path.name


def test_launch_buttons_carry_the_books_address(parsed):
    slug = site_address().removeprefix("https://github.com/")
    for path in SITE.glob("notebooks/*.html"):
        links = parsed[path.resolve()].links
        file = f"notebooks/{path.stem}.ipynb"
        assert f"https://colab.research.google.com/github/{slug}/blob/main/{file}" in links
        binder_address = f"https://mybinder.org/v2/gh/{slug}/main"
        binder = [link for link in links if link.startswith(binder_address)]
        assert binder and all(file in unquote(link) for link in binder)


PREFIX = "/some/path/"  # the site must not mind where it lies


class Pages(BaseHTTPRequestHandler):
    """Serves the site below PREFIX, compressed where it helps, and counts what it sends."""

    sent = 0

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        file = (SITE / path.removeprefix(PREFIX)).resolve()
        if not path.startswith(PREFIX) or SITE not in file.parents or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", guess_type(file.name)[0] or "application/octet-stream")
        if file.suffix in (".html", ".css", ".js", ".svg"):
            content = gzip.compress(content, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        Pages.sent += len(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the pages were not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


# the page's own settings of MathJax, but for this one
FORMULAS_AS_LATEX = """{ let settings; Object.defineProperty(window, 'MathJax', {
    get: () => settings,
    set: value => {
        settings = value;
        if (!value.version) value.startup = {...value.startup, typeset: false};
    }}) }"""


@contextmanager
def opened(browser, url, *, width=1280, height=900, theme="light", site=None, has_formulas=True):
    """A page, loaded and typeset, that fails at the end if anything went wrong in it.

    `site` is how the addresses of the site begin: a request to any other one is a fault. Without
    its formulas, which are its slowest part, a page is there sooner.
    """
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(180_000)  # the page of all equations, on a busy machine
    if not has_formulas:
        page.add_init_script(FORMULAS_AS_LATEX)
    page.add_init_script(f"for (const k of ['mode', 'theme']) localStorage.setItem(k, '{theme}')")
    faults, site = [], site or url[: url.index(PREFIX) + len(PREFIX)]
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    # Leaving a page breaks off what it is still loading: that is not a fault.
    aborted = "net::ERR_ABORTED"
    page.on("requestfailed", lambda r: r.failure == aborted or faults.append(f"failed: {r.url}"))
    page.on("request", lambda r: r.url.startswith((site, "data:")) or faults.append(r.url))
    page.goto(url, wait_until="load")
    page.wait_for_function("() => !window.MathJax || MathJax.startup.promise.then(() => true)")
    yield page
    page.close()
    assert faults == []


OVERFLOW = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
FORMULAS = """() => ({
    all: document.querySelectorAll('.math').length,
    set: document.querySelectorAll('.math mjx-container').length,
    wrong: document.querySelectorAll('mjx-merror').length})"""
PATHS = [f"{name}.html" for name in PAGE_NAMES]


# Formulas and code of notebooks take long: they are looked at on this one, and on every other page.
WHOLE_NOTEBOOK = None if IS_CHINESE else "notebooks/04-1-1-nnlm.html"
AXE = "axe.run({exclude: [%s]}, {preload: false, resultTypes: ['violations', 'incomplete'], %s})"
PICTURES = "['svg']"  # axe cannot find out what lies behind their text: see CONTRASTS
SLOW_PARTS = "['.math'], ['.highlight']"
AXE_PATHS = [*PATHS, "search.html"]
if IS_CHINESE:  # a page has the elements and colours of its original: one page of each kind
    NOTEBOOKS = ("notebooks/02-1-language-models", "notebooks/06-3-speech-recognition")
    OTHERS = ("book/index", "book/03-algorithms", "book/results", "book/glossary", "search")
    AXE_PATHS = [f"{name}.html" for name in (*NOTEBOOKS, *OTHERS)]
COLOUR_RULES = "runOnly: ['color-contrast', 'link-in-text-block']"  # a theme changes nothing else


@pytest.mark.parametrize("path", PATHS, ids=lambda path: Path(path).stem)
def test_a_page_opens_without_fault(browser, address, path):
    """No console error, no failed or foreign request, no sideways scrolling, all formulas set.

    A Chinese page has the formulas of its original, as test_translated_site.py sees: they are set
    on one page of each kind.
    """
    before = Pages.sent
    is_set = not IS_CHINESE or path in AXE_PATHS
    with opened(browser, address + path, width=390, has_formulas=is_set) as page:
        formulas = page.evaluate(FORMULAS)
        expected = formulas["all"] if is_set else 0
        assert formulas["set"] == expected and formulas["wrong"] == 0, formulas
        page.wait_for_load_state("networkidle")
        assert 100_000 < Pages.sent - before <= 1_500_000, "bytes of a first view"
        for width in (390, 1280):  # one opening for both: setting the formulas is what takes long
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(OVERFLOW) <= 0, f"the page is wider than a screen of {width}"


def axe_faults(result):
    """What axe found wrong, and each text whose contrast it cannot determine, as (rule, HTML).

    A text of symbols alone, such as an arrow, is not text to axe: it has the colour of its likes.
    """
    faults = [
        (fault["id"], node["html"]) for fault in result["violations"] for node in fault["nodes"]
    ]
    for unknown in result["incomplete"]:
        for node in unknown["nodes"] if unknown["id"] == "color-contrast" else []:
            data = [check["data"] or {} for check in node["any"]]
            if any(values.get("messageKey") != "nonBmp" for values in data):
                faults.append((unknown["id"], node["html"]))
    return faults


@pytest.mark.parametrize("path", AXE_PATHS, ids=lambda path: Path(path).stem)
def test_axe_finds_no_fault_in_light_and_dark(browser, address, path):
    axe = pytest.importorskip("axe_playwright_python.base").AXE_FILE_PATH.read_text("utf-8")
    is_whole = not path.startswith("notebooks/") or path == WHOLE_NOTEBOOK
    excluded = PICTURES if is_whole else f"{PICTURES}, {SLOW_PARTS}"
    # the sidebar is not cut off
    with opened(browser, address + path, height=2400, has_formulas=is_whole) as page:
        page.emulate_media(reduced_motion="reduce")
        page.evaluate(axe)
        for theme, rules in (("light", ""), ("dark", COLOUR_RULES)):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            assert axe_faults(page.evaluate(AXE % (excluded, rules))) == [], theme


def test_axe_reports_a_caption_in_the_colour_of_its_ground(browser, address):
    """As once in every table of results, which axe calls incomplete and no violation."""
    axe = pytest.importorskip("axe_playwright_python.base").AXE_FILE_PATH.read_text("utf-8")
    with opened(browser, address + "notebooks/02-1-language-models.html", height=2400) as page:
        page.add_style_tag(content=".text_html, table caption { color: #888; background: #888 }")
        page.evaluate(axe)
        result = page.evaluate(f"axe.run('table', {{preload: false, {COLOUR_RULES}}})")
        assert any("caption" in html for _, html in axe_faults(result))


MOVING = """() => [document.documentElement, ...document.querySelectorAll('*')].filter(element => {
    const styles = [null, '::before', '::after'].map(part => getComputedStyle(element, part));
    return styles.some(style => style.animationName !== 'none' || style.scrollBehavior === 'smooth'
        || style.transitionDuration.split(',').some(seconds => parseFloat(seconds) > 0));
}).map(element => element.outerHTML.slice(0, 80))"""


def test_nothing_moves_for_a_reader_who_asked_for_that(browser, address):
    with opened(browser, address + "notebooks/02-1-language-models.html") as page:
        assert len(page.evaluate(MOVING)) > 10
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate(MOVING) == []


TERMS = {  # a term and the section that search finds for it
    "perplexity": "02-1",
    "kneser": "02-1",
    "scaling": "02-2",
    "softmax": "03-1",
    "beam": "03-2",
    "LSTM": "04-1-2",
    "attention": "04-2",
    "keras": "05-1",
    "translation": "06-1",
    "temperature": "06-2",
    "spectrogram": "06-3",
    "rotary": "07-3",
}


@english
@pytest.mark.parametrize("term", TERMS)
def test_search_finds_a_term(browser, address, term):
    with opened(browser, f"{address}search.html?q={term}") as page:
        page.wait_for_selector("#search-results li a", timeout=90_000)
        page.wait_for_function("() => Search.status.innerText")  # written when all are listed
        links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        assert any(f"notebooks/{TERMS[term]}" in link for link in links), links


PREVIEWED_LINKS = {
    "notebooks/02-1-language-models.html": ["#equation-eq-"],
    "book/05-practice.html": ["#term-", "references.html#id"],
}


@pytest.mark.parametrize("source", ["server", "file system"])
def test_previews_show_formulas_terms_and_references(browser, address, source):
    root = address if source == "server" else SITE.as_uri() + "/"
    for path, targets in PREVIEWED_LINKS.items():
        with opened(browser, root + path, site=root) as page:
            for target in targets:
                link = page.locator(f'article a.reference[href*="{target}"]').first
                link.hover()
                preview = page.locator(".preview")
                preview.wait_for(state="visible")
                assert len(preview.inner_text().strip()) > 3 and preview.locator("a").count() == 0
                if "equation" in target:
                    preview.locator("mjx-container").first.wait_for(state="visible")
                page.keyboard.press("Escape")
                assert preview.count() == 0
                link.focus()
                preview.wait_for(state="visible")
                page.keyboard.press("Escape")


@pytest.mark.parametrize(
    "path", ["book/index.html", "notebooks/04-2-encoder-decoder-mathematics.html"]
)
def test_the_site_opens_from_the_file_system(browser, path):
    root = SITE.as_uri() + "/"
    with opened(browser, root + path, site=root) as page:
        formulas = page.evaluate(FORMULAS)
        assert formulas["set"] == formulas["all"] > 0 and formulas["wrong"] == 0
    with opened(browser, f"{root}search.html?q=perplexity", site=root) as page:
        page.wait_for_selector("#search-results li a", timeout=90_000)


# The contrast of each text of a picture with the last shape that was painted where it stands.
CONTRASTS = """() => [...document.querySelectorAll('main svg text')].map(text => {
    const svg = text.ownerSVGElement, box = text.getBBox(), point = svg.createSVGPoint();
    [point.x, point.y] = [box.x + box.width / 2, box.y + box.height / 2];
    const onScreen = point.matrixTransform(text.getScreenCTM());
    const isBehind = shape => getComputedStyle(shape).fill !== 'none'
        && text.compareDocumentPosition(shape) & Node.DOCUMENT_POSITION_PRECEDING
        && shape.isPointInFill(onScreen.matrixTransform(shape.getScreenCTM().inverse()));
    const shapes = [...svg.querySelectorAll('rect, circle, ellipse, path, polygon')];
    const shape = shapes.filter(isBehind).pop();
    const ground = shape ? getComputedStyle(shape).fill
        : getComputedStyle(document.body).backgroundColor;
    const light = colour => colour.match(/\\d+/g).slice(0, 3).map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const [low, high] = [light(ground), light(getComputedStyle(text).fill)].sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), text.textContent];
})"""
PAGES_WITH_PICTURES = [
    path.relative_to(SITE).as_posix()
    for path in PAGES
    if re.search('class="(diagram|linked-picture)', path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("path", PAGES_WITH_PICTURES, ids=lambda path: Path(path).stem)
def test_text_of_pictures_can_be_read_in_both_themes(browser, address, path):
    with opened(browser, address + path, has_formulas=False) as page:
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 10 and min(contrasts)[0] >= 4.5, (theme, min(contrasts))


def test_the_map_can_be_reached(browser, address):
    with opened(browser, address + "book/index.html") as page:
        node = page.locator("svg.linked-picture a").first
        node.focus()
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(f"document.activeElement.tagName === 'a' && {outline}") != "none"
        page.keyboard.press("Enter")
        page.wait_for_url("**/notebooks/02-1-*.html")


FOCUSED_ELEMENT = """() => { const e = document.activeElement, s = getComputedStyle(e);
    return [e.outerHTML.slice(0, 80), e.tagName, s.outlineStyle, s.boxShadow]; }"""


def test_the_keyboard_reaches_the_links_and_is_seen(browser, address):
    with opened(browser, address + "book/05-practice.html") as page:
        focused = set()
        for _ in range(25):
            page.keyboard.press("Tab")
            html, tag, outline, shadow = page.evaluate(FOCUSED_ELEMENT)
            focused.add(html)
            assert tag == "BODY" or outline != "none" or shadow != "none", html
        assert len(focused) > 15


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_printed_pages_are_the_text_alone_in_dark_ink(browser, address, theme):
    with opened(browser, address + "book/05-practice.html", theme=theme) as page:
        page.emulate_media(media="print")
        for part in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".prev-next-footer"):
            assert not page.locator(part).first.is_visible(), part
        ink = page.locator("article p").nth(2).evaluate("p => getComputedStyle(p).color")
        assert max(int(c) for c in re.findall(r"\d+", ink)[:3]) < 90, ink


# The elements that draw a frame or a ground around code and outputs, and may be cut in two.
CUT = """() => [...document.querySelectorAll('article pre')].flatMap(pre => {
    const cut = [];
    for (let e = pre; !e.matches('.cell, section, li, dd, article'); e = e.parentElement) {
        const style = getComputedStyle(e);
        const isFramed = ['Top', 'Left'].some(side => parseFloat(style[`border${side}Width`]) > 0)
            || !['rgba(0, 0, 0, 0)', 'transparent'].includes(style.backgroundColor);
        if (isFramed && style.breakInside !== 'avoid') cut.push(e.outerHTML.slice(0, 80));
    }
    return cut;
})"""


@pytest.mark.parametrize(
    "path", ["notebooks/02-1-language-models.html", "book/07-beyond-one-machine.html"]
)
def test_no_empty_frame_is_left_at_the_foot_of_a_printed_page(browser, address, path):
    with opened(browser, address + path) as page:
        page.emulate_media(media="print")
        assert page.locator("article pre").count() > 3
        assert page.evaluate(CUT) == []
