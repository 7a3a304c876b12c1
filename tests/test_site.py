"""The built site, as a browser sees it and as a link checker sees it.

Needs `make book` first. The browser tests use Chromium and are skipped, with a line, without it.
The site is served as GitHub Pages does, compressed and below a path; other folders than
_build/html are tested with LLM_BOOK_SITE=FOLDER.
"""

import gzip
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

from tools import book_facts as facts
from tools import notebooks as care

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(os.environ.get("LLM_BOOK_SITE", ROOT / "_build" / "html")).resolve()
PAGES = sorted([*SITE.glob("book/*.html"), *SITE.glob("notebooks/*.html")])
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((shutil.which(name) for name in NAMES if shutil.which(name)), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = pytest.mark.skipif(not PAGES, reason="no site in _build/html: `make book` builds it")


class Page(HTMLParser):
    """The links, anchors and images of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.images = [], {""}, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "img":
            self.images.append(found)


@pytest.fixture(scope="module")
def parsed():
    return {path.resolve(): Page(path) for path in SITE.rglob("*.html")}


def test_every_page_of_the_contents_was_built():
    listed = re.findall(r"^\s*(?:- file|root): (\S+)$", (ROOT / "_toc.yml").read_text(), re.M)
    assert {p.relative_to(SITE).with_suffix("").as_posix() for p in PAGES} == set(listed)


def test_internal_links_and_anchors_resolve(parsed):
    broken, seen = [], 0
    for page, content in parsed.items():
        for link in content.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("javascript"):
                continue
            seen += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            anchors = parsed[target].ids if target in parsed else {""}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                broken.append(f"{page.name}: {link}")
    assert seen > 100 and not broken, broken[:10]


def test_images_exist_and_have_alt_text(parsed):
    for page, content in parsed.items():
        for image in content.images:
            assert image.get("alt"), f"{page.name}: no alt text on {image.get('src')}"
            if not urlsplit(image["src"]).scheme:
                file = page.parent / unquote(image["src"])
                assert file.exists(), f"{page.name}: {image['src']}"


def test_the_results_page_shows_every_stored_figure_and_every_benchmark():
    html = unescape((SITE / "book" / "results.html").read_text(encoding="utf-8"))
    html = re.sub(r"</?span[^>]*>", "", html)
    cells = re.findall(r"<t[dh][^>]*><p>(.*?)</p></t[dh]>", html)
    pages = [facts.page(p.relative_to(SITE).with_suffix("").as_posix()) for p in PAGES]
    stored = [page for page in pages if page.results]
    assert len(stored) >= 15
    for page in stored:
        assert page.title in html and page.results["date"] in html
        for name, value in page.results["values"].items():
            assert name.replace("_", " ") in cells, f"{page.name}: {name}"
            assert facts.number(value) in cells, f"{page.name}: {name}"
    for path in (ROOT / "book" / "results").glob("*.json"):
        for run in facts.provenances(facts.read(path)):
            assert re.sub(r" /\S+", "", run["command"]) in html, path.name
            assert str(run["commit"])[:7] in html, path.name
    for entry in facts.read(ROOT / "book" / "published.json"):
        assert {entry["model"], entry["value"]} <= set(cells), entry


def test_the_equations_page_leads_to_each_derivation_and_check(parsed):
    links = set(parsed[(SITE / "book" / "equations.html")].links)
    labelled = [
        e for p in PAGES for e in facts.equations(p.relative_to(SITE).with_suffix("").as_posix())
    ]
    assert len(labelled) > 150
    for e in labelled:
        page = f"../{e.page}.html"
        assert f"{page}#equation-{e.label}" in links, e.label
        assert e.proof is None or f"{page}#check-{e.label}" in links, e.label


def test_every_page_tells_its_times():
    for path in SITE.glob("notebooks/*.html"):
        html = path.read_text(encoding="utf-8")
        assert re.search(r'class="page-facts">\d+ minutes to read · \d+ \w+ to run', html), (
            path.name
        )
        assert html.count('class="objectives"') == 1, path.name
        assert html.count("what-you-built") == 1, path.name


def test_launch_buttons_carry_the_books_address(parsed):
    slug = care.address().removeprefix("https://github.com/")
    for path in SITE.glob("notebooks/*.html"):
        links = parsed[path.resolve()].links
        file = f"notebooks/{path.stem}.ipynb"
        assert f"https://colab.research.google.com/github/{slug}/blob/main/{file}" in links
        binder = [
            link for link in links if link.startswith(f"https://mybinder.org/v2/gh/{slug}/main")
        ]
        assert binder and all(file in unquote(link) for link in binder)


PREFIX = "/some/path/"  # the site must not mind where it lies


class Pages(BaseHTTPRequestHandler):
    """Serves the site below PREFIX, compressed where it helps, and counts what it sends."""

    sent = 0

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        file = (SITE / path.removeprefix(PREFIX)).resolve()
        if not path.startswith(PREFIX) or SITE not in file.parents or not file.is_file():
            return self.send_error(404)
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
        found = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@contextmanager
def opened(browser, url, width=1280, theme="light", own=None):
    """A page, loaded and typeset, that fails at the end if anything went wrong in it.

    `own` is how the addresses of the site begin: all others are foreign.
    """
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.add_init_script(f"for (const k of ['mode', 'theme']) localStorage.setItem(k, '{theme}')")
    faults, own = [], own or url[: url.index(PREFIX) + len(PREFIX)]
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    # Leaving a page breaks off what it is still loading: that is nobody's fault.
    aborted = "net::ERR_ABORTED"
    page.on("requestfailed", lambda r: r.failure == aborted or faults.append(f"failed: {r.url}"))
    page.on("request", lambda r: r.url.startswith((own, "data:")) or faults.append(r.url))
    page.goto(url, wait_until="load")
    page.wait_for_function("() => !window.MathJax || MathJax.startup.promise.then(() => true)")
    yield page
    page.close()
    assert faults == []


WIDE = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
MATHS = """() => ({
    all: document.querySelectorAll('.math').length,
    set: document.querySelectorAll('.math mjx-container').length,
    wrong: document.querySelectorAll('mjx-merror').length})"""
CHAPTERS = [path.relative_to(SITE).as_posix() for path in PAGES]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: Path(path).stem)
def test_a_page_opens_without_fault(browser, address, path, width):
    """No console error, no failed or foreign request, no sideways scrolling, all formulas set."""
    before = Pages.sent
    with opened(browser, address + path, width) as page:
        maths = page.evaluate(MATHS)
        assert maths["set"] == maths["all"] and maths["wrong"] == 0, maths
        assert page.evaluate(WIDE) <= 0, "the page is wider than the screen"
        page.wait_for_load_state("networkidle")
    assert 100_000 < Pages.sent - before <= 1_500_000, "bytes of a first view"


# Formulas and code look the same everywhere and take long: they are looked at on one page.
AXE = "axe.run({exclude: [%s]}, {preload: false, resultTypes: ['violations'], %s})"
LONG = "['.math'], ['.highlight']"
COLOURS = "runOnly: ['color-contrast', 'link-in-text-block']"  # a theme changes nothing else
WITH_ALL = "notebooks/04-1-1-nnlm.html"


@pytest.mark.parametrize("path", [*CHAPTERS, "search.html"], ids=lambda path: Path(path).stem)
def test_axe_finds_no_violation_in_light_and_dark(browser, address, path):
    axe = pytest.importorskip("axe_playwright_python.base").AXE_FILE_PATH.read_text("utf-8")
    left_out = "['mjx-container']" if path == WITH_ALL else LONG
    with opened(browser, address + path) as page:
        page.evaluate(axe)
        for theme, rules in (("light", ""), ("dark", COLOURS)):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.add_style_tag(content="* { transition: none !important; }")
            found = page.evaluate(AXE % (left_out, rules))["violations"]
            assert [(theme, v["id"], v["nodes"][0]["html"]) for v in found] == []


TERMS = {
    "perplexity": "02-1", "kneser": "02-1", "scaling": "02-2", "softmax": "03-1", "beam": "03-2",
    "LSTM": "04-1-2", "attention": "04-2", "keras": "05-1", "translation": "06-1",
    "temperature": "06-2", "spectrogram": "06-3", "rotary": "07-3",
}  # fmt: skip


@pytest.mark.parametrize("term", TERMS)
def test_search_finds_a_term(browser, address, term):
    with opened(browser, f"{address}search.html?q={term}") as page:
        page.wait_for_selector("#search-results li a", timeout=15000)
        page.wait_for_function("() => !Search._pulse_status || Search._pulse_status < 0")
        links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        assert any(f"notebooks/{TERMS[term]}" in link for link in links), links


HOVERED = {
    "notebooks/02-1-language-models.html": ["#equation-eq-"],
    "book/05-practice.html": ["#term-", "references.html#id"],
}


@pytest.mark.parametrize("where", ["server", "file system"])
def test_previews_show_formulas_terms_and_references(browser, address, where):
    root = address if where == "server" else SITE.as_uri() + "/"
    for path, targets in HOVERED.items():
        with opened(browser, root + path, own=root) as page:
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
    with opened(browser, root + path, own=root) as page:
        maths = page.evaluate(MATHS)
        assert maths["set"] == maths["all"] > 0 and maths["wrong"] == 0
    with opened(browser, f"{root}search.html?q=perplexity", own=root) as page:
        page.wait_for_selector("#search-results li a", timeout=15000)


CONTRASTS = """() => [...document.querySelectorAll('svg.linked-picture a')].flatMap(a => {
    const light = fill => fill.match(/\\d+/g).slice(0, 3).map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const box = a.querySelector('rect') ?? a.previousElementSibling?.querySelector?.('rect');
    if (!box) return [];
    const ground = light(getComputedStyle(box).fill);
    return [...a.querySelectorAll('text')].map(text => {
        const ink = light(getComputedStyle(text).fill);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    });
})"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_map_is_in_the_colours_of_the_page_and_reachable(browser, address, theme):
    with opened(browser, address + "book/index.html", theme=theme) as page:
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 10 and min(contrasts) >= 4.5
        node = page.locator("svg.linked-picture a").first
        node.focus()
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(f"document.activeElement.tagName === 'a' && {outline}") != "none"
        page.keyboard.press("Enter")
        page.wait_for_url("**/notebooks/02-1-*.html")


def test_the_keyboard_reaches_the_links_and_is_seen(browser, address):
    with opened(browser, address + "book/05-practice.html") as page:
        seen = set()
        for _ in range(25):
            page.keyboard.press("Tab")
            style = page.evaluate("""() => { const e = document.activeElement,
                s = getComputedStyle(e); return [e.outerHTML.slice(0, 80), s.outlineStyle,
                s.boxShadow, e.tagName]; }""")
            seen.add(style[0])
            assert style[3] == "BODY" or style[1] != "none" or style[2] != "none", style
        assert len(seen) > 15


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_printed_pages_are_the_text_alone_in_dark_ink(browser, address, theme):
    with opened(browser, address + "book/05-practice.html", theme=theme) as page:
        page.emulate_media(media="print")
        for part in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".prev-next-footer"):
            assert not page.locator(part).first.is_visible(), part
        ink = page.locator("article p").nth(2).evaluate("p => getComputedStyle(p).color")
        assert max(int(c) for c in re.findall(r"\d+", ink)[:3]) < 90, ink
