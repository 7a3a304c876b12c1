"""The built site, as a browser sees it and as a link checker sees it.

Needs `make book` first. The browser tests use Chromium and are skipped, with a line, without it.
"""

import re
import shutil
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools import notebooks as care

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
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


def test_launch_buttons_carry_the_books_address(parsed):
    slug = care.address().removeprefix("https://github.com/")
    for path in SITE.glob("notebooks/*.html"):
        links = parsed[path.resolve()].links
        file = f"notebooks/{path.stem}.ipynb"
        assert f"https://colab.research.google.com/github/{slug}/blob/main/{file}" in links
        binder = [link for link in links if link.startswith(f"https://mybinder.org/v2/gh/{slug}/main")]
        assert binder and all(file in unquote(link) for link in binder)


@pytest.fixture(scope="module")
def address():
    """The site on a local port, as `make serve` shows it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
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


WIDE = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
MATHS = """() => ({
    all: document.querySelectorAll('.math').length,
    set: document.querySelectorAll('.math mjx-container').length,
    wrong: document.querySelectorAll('mjx-merror').length})"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_opens_without_fault(browser, address, path, width):
    """No console error, no failed or foreign request, no sideways scrolling, all formulas set."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.on("request", lambda r: r.url.startswith((address, "data:")) or faults.append(r.url))
    page.goto(f"{address}/{path.relative_to(SITE).as_posix()}", wait_until="load")
    page.wait_for_function("() => !window.MathJax || MathJax.startup.promise.then(() => true)")
    maths = page.evaluate(MATHS)
    assert faults == []
    assert maths["set"] == maths["all"] and maths["wrong"] == 0, maths
    assert page.evaluate(WIDE) <= 0, "the page is wider than the screen"
    page.close()


def test_search_finds_a_term(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=perplexity", wait_until="load")
    page.wait_for_selector("#search-results li a", timeout=15000)
    assert page.locator("#search-results li").count() >= 2
    page.close()
