"""The Chinese edition: its catalogues are whole, and each check of them can fail."""

import re
from types import SimpleNamespace

import pytest
from babel.messages.catalog import Catalog, Message
from bs4 import BeautifulSoup
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from tools.live.examples import ROOT, read_boxes
from tools.live.texts import TEXTS
from tools.translation import built_pages, catalogues, page_text, pictures, switch, templates
from tools.translation.__main__ import main
from tools.translation.catalogues import (
    FIRST_PAGE,
    GLOSSARY,
    LOCALE,
    OTHERS,
    catalogue_name,
    catalogue_names,
    catalogue_path,
    messages_of,
    read_catalogue,
    write_catalogue,
)
from tools.translation.checks import (
    check_catalogue,
    check_message,
    is_verbatim,
    numbers_in,
    text_faults,
)
from tools.translation.markdown import read_parts
from tools.translation.search import write_dictionary
from tools.translation.terms import missing_terms, read_exceptions, read_glossary


@pytest.mark.parametrize("name", catalogue_names())
def test_a_catalogue_has_no_fault(name):
    assert [str(problem) for problem in check_catalogue(catalogue_path(name))] == []


@pytest.mark.parametrize("name", [name for name in catalogue_names() if name not in OTHERS])
def test_a_catalogue_belongs_to_the_present_page(name):
    stored, present = templates.stored_digest(catalogue_path(name)), templates.source_digest(name)
    assert stored == present, f"{name} has changed: `make catalogues`, then translate what is new"


def _parts_of_a_guide(text):
    """What a guide and its translation share: code blocks, code in lines, links, rows of tables."""
    blocks = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {
        "blocks": blocks,
        "code": sorted(set(re.findall(r"`[^`\n]+`", rest))),
        "links": sorted(set(re.findall(r"\]\(([^)\s]+)\)", rest))),
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", rest, re.MULTILINE)],
        "rows": len(re.findall(r"^\|", rest, re.MULTILINE)),
    }


def test_the_readme_in_chinese_says_what_the_english_one_says():
    english, chinese = (
        _parts_of_a_guide((ROOT / name).read_text(encoding="utf-8"))
        for name in ("README.md", "README.zh-CN.md")
    )
    assert "README.zh-CN.md" in english["links"] and "README.md" in chinese["links"]
    for parts in (english, chinese):
        parts["links"] = [link for link in parts["links"] if not link.startswith("README")]
    assert chinese == english


def test_the_words_of_the_tools_and_pictures_are_those_of_their_catalogues():
    expected = {"shared": templates.shared_messages(), "pictures": list(pictures.picture_words())}
    for name, messages in expected.items():
        stored = [message.id for message in messages_of(read_catalogue(catalogue_path(name)))]
        assert stored == messages, f"{name}: `make catalogues`"


def test_each_catalogue_has_a_file_and_each_file_a_page():
    files = {catalogue_name(path) for path in catalogues.FOLDER.rglob("*.po")}
    assert files == set(catalogue_names())


def test_a_message_has_one_translation_in_the_whole_book():
    seen = {}
    for name in catalogue_names():
        for message in messages_of(read_catalogue(catalogue_path(name))):
            if name not in (GLOSSARY, *OTHERS) and message.string and not message.fuzzy:
                earlier = seen.setdefault(message.id, (message.string, name))
                assert earlier[0] == message.string, f"{message.id}: {name} and {earlier[1]}"


# ---- each rule is seen to fail ----------------------------------------------------------------

RIGHT = (
    "The {term}`perplexity` of $p$ in `x`, see [2.1](a.md#b): **80** or *90* {cite:p}`shannon`.",
    "{term}`困惑度 <perplexity>`由 $p$ 在 `x` 算出，[2.1](a.md#b)：**80** *90* {cite:p}`shannon`。",
)


@pytest.mark.parametrize(
    "wrong, right, fault",
    [
        ("$q$", "$p$", "formulas missing: p"),
        ("`y`", "`x`", "code in backticks missing: x"),
        ("a.md", "a.md#b", "targets of links"),
        ("{term}`困惑度`", "{term}`困惑度 <perplexity>`", "roles missing: {term}perplexity"),
        ("{cite:t}", "{cite:p}", "roles"),
        ("80", "**80**", "emphasis missing: strong"),
        ("__90__", "*90*", "emphasis"),
        ("**80", "**80**", "stray markup"),
        ("81", "80", "numbers differ: missing ['80'], added ['81']"),
        ("复杂度 <", "困惑度 <", "the term “perplexity”"),
        ("`由$p$", "`由 $p$", "no space after Chinese"),
        ("$p$在", "$p$ 在", "no space before Chinese"),
        ("算出,", "算出，", "half-width punctuation"),
        ("算出 ，", "算出，", "a space beside full-width punctuation"),
        ("算 出", "算出", "a space between Chinese"),
        ("(算)出", "算出", "half-width brackets"),
        ('算"出"', "算出", "straight quotation marks"),
        ("算出它", "算出", "它 or 它们"),
        ("进行计算", "算出", "进行"),
        ("好的大的新的值算出", "算出", "a chain of three 的"),
        ("算出...", "算出", "an ellipsis"),
        (" {cite:p}`shannon`。\n", " {cite:p}`shannon`。", "spaces around it"),
    ],
)
def test_a_fault_of_a_translation_is_found(wrong, right, fault):
    english, chinese = RIGHT
    assert list(text_faults(english, chinese)) == []
    assert right in chinese
    found = [what for what, _advice in text_faults(english, chinese.replace(right, wrong, 1))]
    assert any(what.startswith(fault) for what in found), found


def test_english_empty_and_changed_messages_are_found():
    english = "The loss falls with every step."

    def faults(chinese, **options):
        message = Message(english, chinese, **options)
        return [problem.fault for problem in check_message(message, "book/x")]

    assert faults("损失逐步下降。") == []
    assert faults("") == ["not translated"] and faults(english) == ["it is still English"]
    (changed,) = faults("损失逐步下降。", flags={"fuzzy"}, previous_id=["The loss falls."])
    assert changed == "the English has changed (it was: The loss falls.)"


def test_obsolete_messages_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "FOLDER", tmp_path)
    path = catalogues.FOLDER / "x.po"
    path.write_text('msgid ""\nmsgstr ""\n\n#~ msgid "Old"\n#~ msgstr "旧"\n', encoding="utf-8")
    monkeypatch.setattr("tools.translation.checks.catalogue_name", lambda path: path.stem)
    assert [problem.fault for problem in check_catalogue(path)] == ["obsolete"]


def test_messages_without_words_need_no_translation():
    reference = "Shannon (1948). [A theory of communication](https://doi.org/10.1002/j). Journal."
    for message in ("$B$", "`ids`, 3", "EOS", reference, "2.1: $x$"):
        assert is_verbatim(message), message
    for message in ("batch", "see `x`", "Shannon (1948) asked why."):
        assert not is_verbatim(message), message


def test_numbers_are_compared_by_value():
    assert numbers_in("405 billion in 2.1 and 4.1.2") == numbers_in("在 2.1 和 4.1.2 中有 4050 亿")
    assert numbers_in("20,000") == numbers_in("20000") != numbers_in("2000")


# ---- what the catalogues are made of ----------------------------------------------------------


def test_a_changed_paragraph_keeps_its_chinese_as_fuzzy():
    old = Catalog(LOCALE)
    old.add("The loss falls with every step.", "损失逐步下降。")
    old.add("Kept.", "保留。")
    changed = "The loss falls with nearly every step."
    new = templates.updated(
        old, ["Kept.", changed, "$x$", "Shared words", "New"], {"Shared words": "共"}
    )
    strings = {message.id: (message.string, message.fuzzy) for message in messages_of(new)}
    assert strings == {
        "Kept.": ("保留。", False),
        changed: ("损失逐步下降。", True),
        "$x$": ("$x$", False),
        "Shared words": ("共", False),
        "New": ("", False),
    }
    again = templates.updated(new, ["Kept.", changed], {})
    assert again[changed].fuzzy and again[changed].previous_id == [
        "The loss falls with every step."
    ]


def test_a_catalogue_is_written_without_what_changes_by_itself(tmp_path):
    catalogue = Catalog(LOCALE)
    catalogue.add("Write {x} and " + "much " * 40, "写 {x}", locations=[("a.md", 7)])
    for _ in range(2):
        write_catalogue(catalogue, tmp_path / "x.po", comment="Source digest: 1")
        text = (tmp_path / "x.po").read_text(encoding="utf-8")
        assert len(text.splitlines()) == 6 and "a.md" not in text and "20" not in text
        catalogue = read_catalogue(tmp_path / "x.po")
    assert templates.stored_digest(tmp_path / "x.po") == "1"


def test_formulas_and_alternatives_of_paragraphs_are_no_messages(tmp_path):
    (tmp_path / "book").mkdir()
    messages = ["A ![red cat](x.svg) sits.", "red cat", "A figure."]
    text = "\n".join(f'msgid "{message}"\nmsgstr ""\n' for message in messages)
    (tmp_path / f"{FIRST_PAGE}.pot").write_text(text, encoding="utf-8")
    found = templates.page_messages(FIRST_PAGE, tmp_path)
    assert found == ["A ![red cat](x.svg) sits.", "A figure."]


def test_alternatives_of_cells_are_messages():
    path = ROOT / "notebooks" / "02-3-encoder-decoder.ipynb"
    (first, *others) = templates.cell_alternatives(path)
    stored = {
        message.id
        for message in messages_of(read_catalogue(catalogue_path("notebooks/02-3-encoder-decoder")))
    }
    assert len(others) > 1 and first in stored


# ---- Markdown, terms, words -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "**语言模型（LM）**的",
        "“**重要。**”然后",
        "**核心：**书",
        "*循环。*Mamba",
        "见**图**。",
        "（**A**）",
        "**甲**，**乙**",
    ],
)
def test_bold_beside_chinese_prints_no_asterisk(text):
    parts = read_parts(text)
    assert "*" not in parts.text and sum(parts.emphasis.values()) == text.count("*") // (
        4 if "**" in text else 2
    )


def test_english_asterisks_mean_what_they_meant():
    for text in ("2 * 3 * 4", "a** b", "snake_case_name"):
        assert read_parts(text).emphasis == {}, text


def parse(text, monkeypatch, chinese):
    """The HTML of a page in Chinese, whose one message is translated."""
    monkeypatch.setattr(page_text, "translate", lambda text, name: chinese.get(text, text))
    md = page_text.translating(create_md_parser)(
        MdParserConfig(enable_extensions={"dollarmath"}), RendererHTML
    )

    settings = SimpleNamespace(env=SimpleNamespace(docname="book/x"))
    md.options["document"] = SimpleNamespace(settings=settings)
    return md.render(text)


def test_paragraphs_are_read_in_chinese_and_headings_stay(monkeypatch):
    chinese = {"A cat": "猫", "See [it](b.md#c).": "见[它](b.md#c)。", "cell": "格"}
    html = parse(
        "# A cat\n\nSee [it](b.md#c).\n\n- A cat\n\n| cell |\n|---|\n| 1 |\n", monkeypatch, chinese
    )
    assert "<h1>A cat</h1>" in html and 'href="b.md#c"' in html and "<li>猫</li>" in html
    assert "<th>格</th>" in html and html.count("A cat") == 1


def test_terms_of_the_glossary_are_asked_for():
    assert list(missing_terms("Language models", "语言模型")) == []
    assert list(missing_terms("large language models", "语言模型")) == [
        ("large language model", "大语言模型")
    ]
    assert list(missing_terms("an LSTM", "一个 LSTM")) == []
    assert (
        list(missing_terms("back-off", "回退"))
        == list(missing_terms("encoder–decoder", "编码器-解码器"))
        == []
    )


def test_exceptions_are_terms_of_the_glossary():
    names = {name.casefold() for entry in read_glossary() for name in entry.english}
    assert set(read_exceptions()) <= names | {"test set"}


def test_the_dictionary_of_the_search_has_the_terms(tmp_path):
    lines = write_dictionary(tmp_path / "words.txt").read_text(encoding="utf-8").splitlines()
    words = {line.split()[0] for line in lines}
    assert {"困惑度", "编码器", "循环神经网络"} <= words and all(
        len(line.split()) == 2 for line in lines
    )


def test_texts_of_live_boxes_are_those_that_the_boxes_have():
    boxes = "".join(read_boxes(ROOT / "book" / "live.md").values())
    boxes += (ROOT / "tools" / "live" / "translation.py").read_text(encoding="utf-8")
    for text in TEXTS:
        pattern = ".*?".join(re.escape(part) for part in text.split("{}"))
        assert re.search(rf"[>\" ]{pattern}[<\"]", boxes, re.DOTALL), text


def test_the_examples_of_all_boxes_are_chinese_in_a_chinese_build(monkeypatch):
    """Their captions and labels, and their sentences about a model."""
    monkeypatch.setattr(catalogues, "_language", [LOCALE])
    said, by_models = [], {"live-text", "live-greedy"}
    for box in read_boxes(ROOT / "book" / "live.md").values():
        soup = BeautifulSoup(pictures.translate_box(box), "lxml")
        said += [element["aria-label"] for element in soup.find_all(attrs={"aria-label": True})]
        parts = soup.find_all(["caption", "p"])
        for part in parts:
            for quoted in part.find_all(["span", "br"]):
                quoted.decompose()  # the texts of models and of readers
        own = [part for part in parts if not by_models & set(part.get("class", []))]
        said += [part.get_text() for part in own if not part.get("lang")]
    sentences = [text for text in said if len(re.findall("[A-Za-z]{2,}", text)) > 1]
    english = [text for text in sentences if not re.search("[\u3400-\u9fff]", text)]
    assert len(said) > 20 and english == []


def test_boxes_and_pictures_speak_the_language_of_the_build(monkeypatch):
    box = (
        '<div aria-label="A text in pieces"><p>It writes on:</p><p><b>x</b> has 3 characters, '
        "4 bytes, 2 pieces; below each, its id:</p>"
    )
    assert pictures.translate_box(box) == box
    monkeypatch.setattr(catalogues, "_language", [LOCALE])
    chinese = pictures.translate_box(box)
    assert 'aria-label="切成子词的文本"' in chinese and "<b>x</b> 共有 3 个字符" in chinese
    svg = (
        '<title>Map of the models</title><text x="1">recurrence</text>'
        '<a aria-label="2.1 n-gram, Kneser–Ney">'
    )
    assert pictures.translate_picture(svg) == (
        '<title>模型地图</title><text x="1">循环</text><a aria-label="2.1 n 元语法、Kneser–Ney">'
    )


def test_of_two_texts_that_begin_alike_the_longer_one_is_found(monkeypatch):
    chinese = {"Layer {}": "第 {} 层", "Layer {}, head {}": "第 {} 层第 {} 头"}
    monkeypatch.setattr(pictures, "translate", lambda text, _name: chinese[text])
    for texts in (list(chinese), list(chinese)[::-1]):
        monkeypatch.setattr(pictures, "TEXTS", texts)
        assert pictures.translate_box("<b>Layer 1, head 2</b>") == "<b>第 1 层第 2 头</b>"


def test_the_switch_leads_to_the_same_page():
    english, chinese = switch.ENGLISH, switch.CHINESE
    assert switch.address("book/index", english, chinese) == "../zh/book/index.html"
    assert switch.address("book/index", chinese, english) == "../../book/index.html"
    assert switch.address("search", chinese, english) == "../search.html"
    assert switch.address("search", english, english) == "search.html"


# ---- the checks of built pages ----------------------------------------------------------------


def article(body):
    return BeautifulSoup(f"<article>{body}</article>", "lxml").article


def test_stray_markup_and_english_paragraphs_of_a_built_page_are_found():
    output = "<div class='cell_output'><p>one two three four five six seven</p></div>"
    right = f"<p>损失（loss）<code>**x**</code>。</p><p>Adam</p>{output}"
    assert list(built_pages.text_faults(article(right))) == []
    wrong = "<p>**损失</p><li>{term}`困惑度`</li><p>The loss of the model falls with each step.</p>"
    faults = [fault.partition(":")[0] for fault in built_pages.text_faults(article(wrong))]
    assert faults == ["stray markup", "stray markup", "in English"]


def test_a_frame_that_differs_is_found():
    english = "<h2 id='a'>A</h2><span class='math'>x</span><pre>1</pre><img src='../a.png'>"
    assert list(built_pages.frame_faults(article(english), article(english))) == []
    chinese = "<h2 id='b'>甲</h2><span class='math'>y</span><pre>2</pre><img src='../c.png'>"
    faults = [
        f.partition(":")[0] for f in built_pages.frame_faults(article(english), article(chinese))
    ]
    assert faults == ["anchors", "formulas", "code and outputs", "pictures"]


# ---- a book of two pages ------------------------------------------------------------------------

PAGE_A = """# The first page

See [the end](b.md#the-end), [](b.md#the-end) and [](#a-part), with {eq}`eq-one`.

$$
x = y
$$ (eq-one)

```{figure} cat.svg
:alt: A red cat.

A figure.
```

:::{admonition} Mind
One word.
:::

## A part

| head |
| --- |
| **word** |

![](cat.svg)
"""
CHINESE = {
    "a": {
        "The first page": "第一页",
        "See [the end](b.md#the-end), [](b.md#the-end) and [](#a-part), with {eq}`eq-one`.": (
            "见[结尾](b.md#the-end)、[](b.md#the-end)和[](#a-part)，以及 {eq}`eq-one`。"
        ),
        "A red cat.": "一只红猫。",
        "A figure.": "一张图。",
        "Mind": "注意",
        "One word.": "一个词。",
        "A part": "一部分",
        "head": "表头",
        "**word**": "**词（word）**的",
    },
    "b": {"The second page": "第二页", "The end": "结尾处"},
}


@pytest.fixture
def small_site(tmp_path, monkeypatch):
    """The folder of a built book of two pages in Chinese."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "conf.py").write_text("", encoding="utf-8")
    (source / "a.md").write_text(PAGE_A, encoding="utf-8")
    (source / "b.md").write_text("# The second page\n\n## The end\n\nNew.\n", encoding="utf-8")
    (source / "cat.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    monkeypatch.setattr(catalogues, "_language", ["en"])
    monkeypatch.setattr(catalogues, "catalogue_names", lambda: list(CHINESE))
    monkeypatch.setattr(catalogues, "read_translations", lambda name: CHINESE.get(name, {}))
    for module in page_text.USERS_OF_PARSERS:
        monkeypatch.setattr(module, "create_md_parser", create_md_parser)
    settings = {
        "extensions": ["myst_nb", "tools.translation.page_text"],
        "language": LOCALE,
        "project": "Project",
        "author": "A",
        "copyright": "C",
        "html_theme": "basic",
        "root_doc": "a",
        "html_search_language": "en",
        "myst_enable_extensions": ["dollarmath", "colon_fence"],
        "myst_heading_anchors": 3,
        "suppress_warnings": ["toc.not_included"],
    }
    with docutils_namespace():
        app = Sphinx(
            source, source, site, tmp_path / "trees", "html", settings, status=None, warning=None
        )
        app.build()
    return site


def test_a_small_book_is_read_in_chinese(small_site):
    page = BeautifulSoup((small_site / "a.html").read_text(encoding="utf-8"), "lxml")
    body = page.select_one("div.body")
    links = [(link["href"], link.get_text()) for link in body.select("p a.reference")]
    assert links[:3] == [
        ("b.html#the-end", "结尾"),
        ("b.html#the-end", "结尾处"),
        ("#a-part", "一部分"),
    ]
    assert links[3][0] == "#equation-eq-one"
    sections = [(part["id"], part.find(re.compile("h[12]")).get_text()) for part in body("section")]
    assert sections == [("the-first-page", "第一页¶"), ("a-part", "一部分¶")]
    assert body.img["alt"] == "一只红猫。" and body.figcaption.p.get_text().startswith("一张图。")
    assert [part.get_text() for part in body.select(".admonition p")] == ["注意", "一个词。"]
    assert body.th.get_text() == "表头" and body.td.strong.get_text() == "词（word）"
    assert "New." in (small_site / "b.html").read_text(encoding="utf-8")  # not yet translated


def test_a_digest_changes_with_the_prose(monkeypatch):
    before = templates.source_digest(FIRST_PAGE)
    monkeypatch.setattr(templates, "read_text", lambda path, cell_type: "other")
    assert templates.source_digest(FIRST_PAGE) != before


@pytest.mark.parametrize("name", ["nowhere", "book/index.md", ""])
def test_a_preview_of_what_is_no_page_says_so_before_it_builds(name, monkeypatch, capsys):
    monkeypatch.delattr("tools.translation.site.build_preview")
    assert main(["preview", FIRST_PAGE, name]) == 2
    output = capsys.readouterr().out
    assert output.startswith(f"{name!r} is no page: expected") and output.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere.po", "notebooks", ""])
def test_a_check_of_what_is_no_catalogue_says_so_in_one_line(name, capsys):
    assert main(["check", name]) == 2
    output = capsys.readouterr().out
    assert output.startswith(f"{name!r} is no catalogue: expected") and output.count("\n") == 1
