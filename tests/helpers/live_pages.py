"""The engine and the boxes of the models in the pages, for their tests: in Node and in Chromium."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from tools.live import model_files
from tools.live.catalogue import LIVE_FOLDER, MODELS_FOLDER, NAMES
from tools.live.model_files import LiveModel, read_index
from utils.data.corpora import load_text

ROOT = Path(__file__).resolve().parents[2]
ENGINE, TRANSLATOR_SCRIPT = LIVE_FOLDER / "engine.js", LIVE_FOLDER / "translator.js"
# the classifiers stand with their box, of which the engine's tests need nothing
WITHOUT_BOXES = "globalThis.LiveBoxes ??= {register() {}};"
SENTIMENT_SCRIPT = LIVE_FOLDER / "sentiment.js"
NODE = shutil.which("node")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TEXT = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n" * 12
EXTRAS = (
    "é ñ ü å ø ß æ œ İ ı Σ σ ς я щ ї א ש ע ي ن ه ह ि न ् 语 言 模 型 漢 字 あ い ア 한 글 ไ ท ย "
    "🙂 👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👍🏽 🇨🇭 ½ Ⅷ ² ٣ € № ﬁ 𝒳 𝟙 \" ' ’ “ \\ < > & { } 0 1 42 "
    "'ll 's 'T "
    "\u0301 \u0308 \u200d \ufeff \u00a0 \u3000 \u2028 \u0085 \u000b \u001c"
)


def make_strings(count: int = 500) -> list[str]:
    """Strings of letters, marks, numbers and white space of many scripts, and words of the text."""
    source = random.Random(0)
    units = [
        *EXTRAS.split(" "),
        *TEXT.split()[:40],
        " ",
        "  ",
        "\n",
        "\n\n ",
        "\t",
        "\r\n",
        " \u3000",
    ]
    strings = ["", " ", "\n", "\ufeff", "a" * 300, "speak " * 50, " \u2003 x"]
    while len(strings) < count:
        strings.append("".join(source.choices(units, k=source.randrange(1, 25))))
    return strings


class Node:
    """Runs scripts in Node."""

    def evaluate(self, scripts: list[str], expression: str):
        code = "\n".join([*scripts, f"console.log(JSON.stringify({expression}));"])
        assert NODE is not None
        result = subprocess.run(
            [NODE, "-"], input=code, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return json.loads(result.stdout)


class Page:
    """Runs scripts in a page of Chromium."""

    def __init__(self, browser):
        self.browser = browser

    def evaluate(self, scripts: list[str], expression: str):
        page = self.browser.new_page()
        page.goto("about:blank")
        for script in scripts:
            page.add_script_tag(content=script)
        result = page.evaluate(f"() => JSON.stringify({expression})")
        page.close()
        return json.loads(result)


def scripts_of(**models: LiveModel) -> list[str]:
    """The engine, what it knows of some models, and their files."""
    described = {name: {"version": live.version(), "parts": []} for name, live in models.items()}
    files = [script for name, live in models.items() for script in live.scripts(name)]
    return [*engine_scripts(), f"LiveModels.describe({json.dumps(described)});", *files]


def stored_scripts(*names: str) -> list[str]:
    """The engine, the index of the site's models, and the files of some of them."""
    paths = [MODELS_FOLDER / model_files.INDEX]
    for name in names:
        paths += model_files.model_files(name, MODELS_FOLDER)
    return [*engine_scripts(), *(path.read_text("utf-8") for path in paths)]


def engine_scripts() -> list[str]:
    """The engine and what extends it."""
    scripts = [path.read_text("utf-8") for path in (ENGINE, TRANSLATOR_SCRIPT, SENTIMENT_SCRIPT)]
    return [*scripts[:2], WITHOUT_BOXES, scripts[2]]


def require_model(name: str) -> None:
    """Skip the test if a model, or what it is made of, is not here."""
    if name not in read_index(MODELS_FOLDER):
        pytest.skip(f"the site has no model {name} yet")
    if name.startswith(("ngram", "tokenizer")) and load_text().origin != "real":
        pytest.skip(f"{name} is made of the real text, which is not here")


READ = """((name, ids) => {
    const model = LiveModels.build(name), rows = [];
    let state = model.start();
    for (const id of ids) {
        const step = model.step(id, state);
        rows.push(Array.from(step.logits));
        state = step.state;
    }
    return rows;
})"""


def drawn_anew(model: nn.Module, std: float) -> nn.Module:
    """The model with all parameters drawn at random: norms and last matrices, too."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std, mean=1.0 if parameter.dim() == 1 else 0.0)
    return model.eval()


TOKENIZE = """(strings => {
    const { tokenizer } = LiveModels.build("m");
    return strings.map(text => {
        const ids = tokenizer.encode(text);
        const [decoded, end] = [ids, ids.slice(1)].map(part => tokenizer.decode(part));
        return [ids, decoded, ids.map(id => tokenizer.piece(id)), end];
    });
})"""
PREFIX = "/some/path/"  # the site must not mind where it lies
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"
PAGE = """<!DOCTYPE html>
<html lang="{language}" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Boxes</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="../_static/theme.css">
<link rel="stylesheet" href="../_static/book.css">
<link rel="stylesheet" href="../_static/live/boxes.css">
<script defer src="../_static/live/engine.js"></script>
<script defer src="../_static/live/models/models.js"></script>
<script defer src="../_static/live/boxes.js"></script>
<script defer src="../_static/live/heads.js"></script>
<script defer src="../_static/live/sentiment.js"></script>
<script defer src="../_static/live/translator.js"></script>
<script defer src="../_static/live/tree.js"></script>
<script defer src="../_static/live/translation.js"></script>
</head><body><main><h1>Boxes</h1>{boxes}</main></body></html>"""
THEME = """html { --pst-color-text-base: #222; --pst-color-text-muted: #48566b;
    --pst-color-background: #fff; --pst-font-family-monospace: monospace; }
html[data-theme="dark"] { --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af;
    --pst-color-background: #14181e; }
* { box-sizing: border-box; } body { margin: 8px; font-family: sans-serif;
    color: var(--pst-color-text-base); background: var(--pst-color-background); }"""


def box_of(page, kind):
    return page.locator(f'.live-box[data-live="{kind}"]')


def opened_box(page, kind):
    box = box_of(page, kind)
    box.get_by_role("button").click()
    page.wait_for_selector(f'.live-box[data-live="{kind}"][data-state="open"]')
    return box


def status_of(box):
    return box.get_by_role("status")


def wait_for_status(page, kind, text):
    page.wait_for_function(
        "([kind, text]) => document.querySelector(`[data-live=${kind}] .live-status`)"
        ".textContent.includes(text)",
        arg=[kind, text],
    )


needs_models = pytest.mark.skipif(
    set(read_index(MODELS_FOLDER)) != set(NAMES), reason="the site has not all its models yet"
)


def is_symbol(node):
    """Whether axe knows no contrast because a text is a symbol alone, such as an arrow."""
    return any((check["data"] or {}).get("messageKey") == "nonBmp" for check in node["any"])


AXE_RULES = "{preload: false, resultTypes: ['violations', 'incomplete']}"
