"""The built Chinese site beside the English one; needs `make book` first."""

import re
import shutil

import pytest
from bs4 import BeautifulSoup

from tools.translation.built_pages import frame_faults, read_article, text_faults
from tools.translation.catalogues import FIRST_PAGE, OTHERS, catalogue_names
from tools.translation.site import CHINESE_SITE, SITE

PAGES = [name for name in catalogue_names() if name not in OTHERS]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
IS_BUILT = (CHINESE_SITE / "index.html").is_file() and (SITE / "index.html").is_file()

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="no Chinese site in _build/html/zh")


def read_page(site, name):
    return BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "lxml")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_formulas_outputs_and_anchors_of_its_original(name):
    english, chinese = (read_article(site / f"{name}.html") for site in (SITE, CHINESE_SITE))
    assert list(frame_faults(english, chinese)) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_translated_page_has_neither_markup_nor_english(name):
    assert list(text_faults(read_article(CHINESE_SITE / f"{name}.html"))) == []


@pytest.mark.parametrize("name", [FIRST_PAGE, *PAGES, "search", "genindex"])
def test_each_page_leads_to_the_same_page_in_the_other_language(name):
    folders = {"en": SITE, "zh-CN": CHINESE_SITE}
    for own, other in (("en", "zh-CN"), ("zh-CN", "en")):
        path = folders[own] / f"{name}.html"
        page = read_page(folders[own], name)
        assert page.html["lang"] == own
        (switch,) = page.select("a.language-switch")
        links = {link["hreflang"]: link["href"] for link in page.select("link[hreflang]")}
        assert (switch["hreflang"], switch["href"]) == (other, links[other])
        for language, folder in folders.items():
            assert (path.parent / links[language]).resolve() == (folder / f"{name}.html").resolve()


def test_the_frame_of_the_site_speaks_chinese():
    page = read_page(CHINESE_SITE, "book/index")
    for part in page.select("article, script, style, svg, [lang=en]"):
        part.decompose()
    texts = [text.strip() for text in page.stripped_strings]
    names = [tag["aria-label"] for tag in page.select("[aria-label]")]
    allowed = {"Ctrl", "TensorFlow", "PyTorch", "Transformer"}
    english = [
        text
        for text in [*texts, *names]
        if re.search(r"(?<![.\w])[A-Za-z]{3}", text) and not re.search("[\u3400-\u9fff]", text)
    ]
    assert [text for text in english if text.split()[-1] not in allowed] == []


QUERIES = {  # a word, and a page that search finds for it
    "困惑度": "glossary",
    "语言模型": "01-background",
    "大语言模型": "01-background",
    "注意力": "01-background",
    "编码器": "01-background",
    "解码器": "01-background",
    "循环神经网络": "01-background",
    "束搜索": "01-background",
    "教师强制": "01-background",
    "平滑": "01-background",
    "回退": "01-background",
    "词表": "01-background",
    "链式法则": "01-background",
    "混合专家模型": "01-background",
    "旋转位置编码": "01-background",
    "交叉熵": "glossary",
    "反向传播": "glossary",
    "梯度消失": "glossary",
    "过拟合": "glossary",
    "自注意力": "glossary",
    "Transformer": "01-background",
}


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the search was not tried")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


def test_search_finds_words_from_the_file_system(browser):
    page = browser.new_page()
    for word, expected in QUERIES.items():
        page.goto(f"{CHINESE_SITE.as_uri()}/search.html?q={word}")
        page.wait_for_function("() => Search.status.innerText")
        page.wait_for_selector("#search-results li a", timeout=90_000)
        links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        assert any(expected in link for link in links), f"{word}: {links}"
    page.close()


@pytest.mark.parametrize("path", ["zh/notebooks/none.html", "none.html", "a/b/c/"])
def test_an_address_without_a_page_leads_to_both_first_pages(browser, path):
    """As on GitHub Pages, which serves the same file at every such address below a project."""
    html = (SITE / "404.html").read_text(encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"https://someone.github.io/the-book/{path}")
    links = page.evaluate("[...document.links].map(link => link.href)")
    page.close()
    root = "https://someone.github.io/the-book/"
    assert all(link.startswith(root) for link in links)
    names = [link.removeprefix(root) for link in links]
    assert {"book/index.html", "zh/book/index.html"} < set(names)
    assert all((SITE / name).is_file() for name in names)
