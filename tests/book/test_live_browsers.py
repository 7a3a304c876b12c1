"""The boxes in Firefox and WebKit: the same numbers as in Chromium, and as those of the library.

A browser that is not installed is skipped, with a line; `tests.helpers.other_browsers` says what
each needs.
"""

import re

import pytest
import torch

from tests.helpers.live_pages import TOKENIZE, make_strings, needs_models
from tests.helpers.other_browsers import Firefox, WebKit, firefox_binary, webkit_binaries
from tools.live import examples
from tools.live.catalogue import (
    LANGUAGE_MODELS,
    NAMES,
    TRANSLATOR,
    page_classifier,
    page_model,
    page_translator,
    tokenizer_of,
)
from tools.live.translation import BEAM_SENTENCE, beam_tree, translate_greedily
from utils.data.vocabulary import BOS

pytestmark = pytest.mark.slow
BROWSERS = {
    "Firefox": (firefox_binary, Firefox, "no Firefox on this machine"),
    "WebKit": (webkit_binaries, WebKit, "no WebKitWebDriver, MiniBrowser or Xvfb here"),
}


@pytest.fixture(scope="module", params=BROWSERS)
def other(request):
    is_here, browser, missing = BROWSERS[request.param]
    if is_here() is None:
        pytest.skip(f"{missing}: the boxes were not tried in {request.param}")
    driver = browser()
    yield driver
    driver.close()


# Does in each box what a reader does, and returns what then stands there. It waits for each step.
USE = r"""
const faults = [], shown = {};
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => faults.push(event.blockedURI));
const boxOf = (kind) => document.querySelector(`.live-box[data-live="${kind}"]`);
const said = (kind) => boxOf(kind).querySelector(".live-status").textContent;
async function until(test, what) {
  for (const end = Date.now() + 200000; !test();) {
    if (Date.now() > end) throw new Error(`${what} did not come; faults: ${faults.join("; ")}`);
    await new Promise((go) => setTimeout(go, 20));
  }
}
function press(kind, name) {
  const buttons = Array.from(boxOf(kind).querySelectorAll(".live-parts button"));
  buttons.find((button) => button.textContent.startsWith(name)).click();
}
async function use(kind, act, end) {
  press(kind, "Try it here");
  await until(() => boxOf(kind).dataset.state === "open", `${kind}: the models`);
  if (boxOf(kind).querySelector(".live-example").offsetParent) faults.push(`${kind}: example`);
  act();
  await until(() => said(kind).includes(end), `${kind}: ${end}`);
  const parts = boxOf(kind).querySelector(".live-parts");
  const nodes = parts.querySelectorAll("p, li, td, th, svg text");
  shown[kind] = [...Array.from(nodes, (node) => node.textContent), said(kind)];
  press(kind, "Close");
  if (!boxOf(kind).querySelector(".live-example").offsetParent) faults.push(`${kind}: closed`);
}
const type = (kind, text) => {
  const field = boxOf(kind).querySelector("textarea");
  field.value = text;
  field.dispatchEvent(new Event("input"));
};
async function useAll() {
  await use("ngram", () => type("ngram", "To be, or not to 语 b"), "");
  await use("pieces", () => type("pieces", "Naïve 语言 🙂 e\u0301 speak"), "bytes");
  await use("sampling", () => press("sampling", "Write 60"), "Written by each: 60.");
  await use("heads", () => press("heads", "Read the text"), "Most costly");
  await use("attention", () => press("attention", "Translate"), "Translated in");
  await use("beam", () => press("beam", "Translate"), "Ended after");
  await use("sentiment", () => {}, "GRU: praise");
  const addresses = performance.getEntriesByType("resource").map((entry) => entry.name);
  return { shown, faults, addresses };
}
"""
# What a box says to an empty text, a long one, unknown letters of other scripts, and to HTML.
BAD = r"""
const TEXTS = ["", "x".repeat(10000), "Привет, 语言模型 🙂", "<b>&amp;</b>"];
const BUTTONS = { sampling: "Next piece", heads: "Read the text" };
Object.assign(BUTTONS, { attention: "Translate", beam: "Translate" });
const ENDS = new RegExp("empty|Written by each|two pieces|Most costly|Translated in|Ended after"
  + "|GRU: praise|bytes");
async function useBadly() {
  window.matchMedia = () => ({ matches: true });  // nothing moves, so nothing waits
  for (const box of document.querySelectorAll(".live-box")) {
    const kind = box.dataset.live;
    press(kind, "Try it here");
    try { press(kind, "Try it here"); } catch { }  // the button has gone
    await until(() => box.dataset.state === "open", `${kind}: the models`);
    shown[kind] = [];
    for (const text of TEXTS) {
      type(kind, text);
      await new Promise((go) => setTimeout(go, 500));
      if (BUTTONS[kind]) press(kind, BUTTONS[kind]);
      const isDone = () => kind === "ngram" || ENDS.test(said(kind));
      await until(isDone, `${kind}: ${text.slice(0, 9)}`);
      const notes = box.querySelectorAll(".live-parts > .live-note");
      shown[kind].push(said(kind), ...Array.from(notes, (note) => note.textContent));
      if (box.querySelector("b")) faults.push(`${kind}: HTML`);
    }
    press(kind, "Close");
  }
  return { shown, faults };
}
"""


def without_numbers(text: str) -> tuple[str, list[float]]:
    """A text without its numbers, and these; a speed is none of them."""
    text = re.sub(r"Pieces per second: \d+", "", text).replace("−", "-")
    number = r"-?\+?\d+\.\d+"
    return re.sub(number, "x", text), [float(found) for found in re.findall(number, text)]


@pytest.fixture(scope="module")
def in_chromium(browser, address):
    """What Chromium shows, and what it says to bad texts."""
    shown = []
    for script in (f"{USE} return useAll();", f"{USE} {BAD} return useBadly();"):
        page = browser.new_page()
        page.set_default_timeout(180_000)  # on a busy machine
        page.goto(f"{address}book/light.html")
        used = page.evaluate(f"() => {{ {script} }}")
        page.close()
        assert used["faults"] == []
        shown.append(used["shown"])
    return shown


def assert_same_texts(actual, expected, *, fewest):
    assert set(actual) == set(examples.TITLES) == set(expected)
    for kind, texts in actual.items():
        assert len(texts) == len(expected[kind]) >= fewest
        for text, other_text in zip(texts, expected[kind], strict=True):
            words, numbers = without_numbers(text)
            other_words, other_numbers = without_numbers(other_text)
            assert words == other_words, kind
            # another browser may round a last digit anew
            assert numbers == pytest.approx(other_numbers, abs=0.0101), kind


@needs_models
@pytest.mark.parametrize("source", ["server", "file system"])
def test_every_box_shows_what_chromium_shows(other, in_chromium, site, address, source):
    """Under a strict policy from the server; nothing is asked of another site."""
    root = address if source == "server" else f"{site.as_uri()}/"
    other.open(f"{root}book/light.html")
    used = other.run(f"{USE} return useAll();")
    assert used["faults"] == []
    assert all(found.startswith((root, "data:")) for found in used["addresses"])
    assert_same_texts(used["shown"], in_chromium[0], fewest=6)


@needs_models
def test_bad_texts_are_answered_as_in_chromium(other, in_chromium, address):
    """A clear line each time, also after a double click; nothing breaks."""
    other.open(f"{address}book/light.html")
    used = other.run(f"{USE} {BAD} return useBadly();")
    assert used["faults"] == []
    assert_same_texts(used["shown"], in_chromium[1], fewest=4)
    said = " ".join(text for texts in used["shown"].values() for text in texts)
    for line in ("The text is empty.", "Only the first", "Only the last", "single bytes"):
        assert line in said


LOGITS = """
const { load, BeamSearch, GreedySearch } = LiveModels, [names, texts, german] = arguments;
return load(names).done.then((models) => {
  const rows = {};
  for (const model of models) {
    const { name, tokenizer } = model;
    if (model.logits) rows[name] = Array.from(model.logits(tokenizer.encode(texts[1])));
    else if (model.encode) {
      const source = tokenizer.encode(german), search = new BeamSearch(model, source);
      const greedy = new GreedySearch(model, source);
      while (search.step());
      while (greedy.step());
      rows[name] = {
        greedy: greedy.ids, weights: greedy.weights.map((row) => Array.from(row)),
        logits: Array.from(model.step(1, model.start(source)).logits),
        beam: search.finished.map(({ ids, logProb }) => [ids, logProb]),
        steps: search.steps.map((items) => items.map(({ logProb }) => logProb)),
      };
    } else if (model.step) {
      rows[name] = Array.from(LiveModels.read(model, tokenizer.encode(texts[0])).logits);
    }
  }
  return rows;
});
"""


@needs_models
def test_logits_equal_those_of_the_library(other, address):
    """Of all models of the site, within 1e-4; greedy and beam search, too, step by step."""
    other.open(f"{address}book/light.html")
    prompt, review = "KING RICHARD:\nMy lord, I am", "a smart and moving film , though dull"
    names = [name for name in NAMES if not name.startswith("tokenizer")]
    rows = other.run(LOGITS, names, [prompt, review], BEAM_SENTENCE)
    assert set(rows) == set(names)
    for name in LANGUAGE_MODELS:
        with torch.inference_mode():
            ids = torch.tensor([tokenizer_of(name).encode(prompt)])
            expected, _ = page_model(name)(ids)
        assert float((torch.tensor(rows[name]) - expected[0, -1]).abs().max()) < 1e-4, name
    for name in (name for name in names if name.startswith("sentiment")):
        ids = torch.tensor([tokenizer_of(name).encode(review)])
        with torch.inference_mode():
            expected = page_classifier(name)(ids)
        assert rows[name] == pytest.approx(expected[0].tolist(), abs=1e-4), name
    model, found = page_translator(), rows[TRANSLATOR]
    source = tokenizer_of(TRANSLATOR).encode(BEAM_SENTENCE)
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[BOS]]), model.begin(torch.tensor([source])))
    assert float((torch.tensor(found["logits"]) - logits[0, -1]).abs().max()) < 1e-4
    greedy, tree = translate_greedily(model, source), beam_tree(model, source)
    assert found["greedy"] == greedy.ids
    assert float((torch.tensor(found["weights"]) - greedy.weights).abs().max()) < 1e-5
    assert [ids for ids, _ in found["beam"]] == [best.ids for best in tree.hypotheses]
    for step, items in zip(found["steps"], tree.steps, strict=True):
        assert step == pytest.approx([item.log_prob for item in items], abs=1e-4)


@needs_models
def test_tokenizers_equal_those_of_the_library(other, address):
    """On 500 strings: letters, marks and white space are what another browser takes for them."""
    other.open(f"{address}book/light.html")
    strings = make_strings()
    for name in ("tokenizer-pieces", "ngram-characters", "sentiment-gru"):
        use = TOKENIZE.replace('build("m")', f'build("{name}")')
        load = f"const [strings] = arguments; return LiveModels.load(['{name}'])"
        rows = other.run(f"{load}.done.then(() => {use}(strings));", strings)
        for text, (ids, decoded, *_) in zip(strings, rows, strict=True):
            assert ids == tokenizer_of(name).encode(text), (name, text)
            assert decoded == tokenizer_of(name).decode(ids), (name, text)
