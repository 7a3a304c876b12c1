"""What the tests of the models in the pages share: engines, and a small site with all boxes."""

import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.helpers.live_pages import (
    CHROMIUM,
    NODE,
    PAGE,
    POLICY,
    PREFIX,
    ROOT,
    TEXT,
    THEME,
    Node,
    Page,
)
from tools.live import examples
from tools.live.catalogue import LIVE_FOLDER
from utils.data.tokenizers import BPETokenizer, CharTokenizer


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the boxes were not tried in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=["Node", "Chromium"])
def engine(request):
    if request.param == "Chromium":
        return Page(request.getfixturevalue("browser"))
    if NODE is None:
        pytest.skip("no Node on this machine: the engine was tried in Chromium alone")
    return Node()


@pytest.fixture(scope="module")
def tokenizers():
    return {
        "bpe": BPETokenizer.train(TEXT, max_vocab_size=330),
        "characters": CharTokenizer.train(TEXT),
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with pages that have all boxes, and all they load."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(LIVE_FOLDER, folder / "_static" / "live")
    shutil.copy(ROOT / "book" / "_static" / "book.css", folder / "_static")
    (folder / "_static" / "theme.css").write_text(THEME)
    (folder / "book").mkdir()
    all_boxes = "".join(examples.read_boxes(ROOT / "book" / "live.md").values())
    pages = {"light": ("en", "light"), "dark": ("en", "dark"), "chinese": ("zh-CN", "light")}
    for name, (language, theme) in pages.items():
        html = PAGE.format(language=language, theme=theme, boxes=all_boxes)
        (folder / "book" / f"{name}.html").write_text(html, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served, below a path and under a strict policy."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            path = path.partition("?")[0]
            return str(site / path.removeprefix(PREFIX)) if path.startswith(PREFIX) else "/none"

        def end_headers(self):
            self.send_header("Content-Security-Policy", f"{POLICY}; img-src data:")
            super().end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()


@pytest.fixture
def open_page(browser, site, address):
    """Opens a page; at the end no page may have met an error or asked another site."""
    pages, faults, requests = [], [], []

    def open_one(name="light", *, root=None, width=1000, are_faults_expected=False, **options):
        root = address if root is None else root
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(180_000)  # on a busy machine
        page.requests = requests
        if not are_faults_expected:
            page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on(
            "request",
            lambda request: request.url.startswith((root, "data:")) or faults.append(request.url),
        )
        page.goto(f"{root}book/{name}.html")
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        page.close()
    assert faults == []
