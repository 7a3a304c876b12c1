"""The models in the pages: files, engine and boxes, compared with the library.

The engine runs in Node and in Chromium; what is not installed is skipped, with a line. The boxes
are tested in Chromium on a small page of their own, so that no built site is needed.
"""

import hashlib
import json
import re

import numpy as np
import pytest
import torch

from tests.helpers.live_pages import (
    AXE_RULES,
    ENGINE,
    READ,
    ROOT,
    TEXT,
    TOKENIZE,
    TRANSLATOR_SCRIPT,
    box_of,
    drawn_anew,
    is_symbol,
    make_strings,
    needs_models,
    opened_box,
    require_model,
    scripts_of,
    status_of,
    stored_scripts,
    wait_for_status,
)
from tools.live import __main__ as command
from tools.live import boxes, examples, model_files, text_generation
from tools.live.architectures import (
    byte_characters,
    convert_gpt,
    convert_lstm,
    convert_ngram,
    convert_tokenizer,
)
from tools.live.catalogue import (
    LANGUAGE_MODELS,
    LIVE_FOLDER,
    MODELS_FOLDER,
    NAMES,
    build,
    page_model,
    tokenizer_of,
)
from tools.live.model_files import (
    LiveModel,
    LiveTensor,
    encode_varint,
    read_index,
    write_index,
    write_model,
)
from tools.live.quantization import quantize, quantized_copy
from tools.live.text_generation import (
    make_random,
    next_logits,
    visible_piece,
    without_special,
    write,
)
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts

NETWORKS = {
    "GPT": lambda V: GPT(V, width=24, num_layers=3, num_heads=3, context_length=6),
    "LSTM": lambda V: RNNLM(V, width=20, num_layers=2, cell="lstm"),
    "LSTM, tied": lambda V: RNNLM(V, width=20, cell="lstm", tied=True),
    "LSTM, tied and projected": lambda V: RNNLM(
        V, width=20, cell="lstm", tied=True, embedding_size=12
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_of_a_network_equal_those_of_torch(engine, tokenizers, name):
    """Beyond the GPT's window, and in parts of a few kilobytes."""
    tokenizer = tokenizers["bpe"]
    model = drawn_anew(NETWORKS[name](len(tokenizer)), std=0.3)
    live = (convert_gpt if name == "GPT" else convert_lstm)(model, tokenizer, {})
    ids = tokenizer.encode(TEXT)[:20]
    rows = engine.evaluate(scripts_of(m=live), f"{READ}('m', {ids})")
    with torch.inference_mode():
        expected, _ = quantized_copy(model)(torch.tensor([ids]))
        unrounded, _ = model(torch.tensor([ids]))
    assert float((torch.tensor(rows) - expected[0]).abs().max()) < 1e-4
    assert float((unrounded - expected).abs().max()) > 1e-3, "weights are not rounded"


@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_ngram_model_equals_that_of_the_library(engine, tokenizers, order):
    """Each order from the counts of the longest; unseen contexts, and the text's start."""
    tokenizer = tokenizers["characters"]
    text = f"{TEXT}FB"  # after which nothing follows
    counts = NGramCounts(tokenizer.encode(text), order=4, vocab_size=len(tokenizer))
    ids = tokenizer.encode("All: speak, Before zzzz\nFB")
    program = f"""(() => {{
        const model = LiveModels.build("m");
        return {ids}.map((_, i, ids) => Array.from(model.distribution(
            [...model.start(), ...ids.slice(0, i + 1)].slice(-3), {order})));
    }})()"""
    scripts = scripts_of(m=convert_ngram(counts, tokenizer, {}))
    rows = engine.evaluate(scripts, program)
    expected, _ = NGramLM.kneser_ney(counts, order=order, modified=True)(torch.tensor([ids]))
    assert np.abs(np.array(rows) - expected[0].exp().numpy()).max() < 1e-12
    if order == 4:
        steps = engine.evaluate(scripts, f"{READ}('m', {ids})")
        assert np.abs(np.array(steps) - expected[0].numpy()).max() < 1e-9
        ngram = tokenizer.encode("eak")
        assert engine.evaluate(scripts, f"LiveModels.build('m').count({ngram})") == counts.count(
            ngram
        )


@pytest.mark.parametrize("kind", ["bpe", "characters"])
def test_tokenizers_equal_those_of_the_library(engine, tokenizers, kind):
    tokenizer, strings = tokenizers[kind], make_strings()
    live = LiveModel(kind="tokenizer", tokenizer=convert_tokenizer(tokenizer))
    rows = engine.evaluate(scripts_of(m=live), f"{TOKENIZE}({json.dumps(strings)})")
    assert len(rows) == 500
    for text, (ids, decoded, pieces, end) in zip(strings, rows, strict=True):
        assert ids == tokenizer.encode(text), repr(text)
        assert decoded == tokenizer.decode(ids), repr(text)
        assert end == tokenizer.decode(ids[1:]), repr(text)
        assert kind != "bpe" or decoded == text
        assert pieces == [visible_piece(tokenizer, i) for i in ids]


def test_half_of_a_character_pair_is_read_as_a_replacement(engine, tokenizers):
    tokenizer = tokenizers["bpe"]
    live = LiveModel(kind="tokenizer", tokenizer=convert_tokenizer(tokenizer))
    rows = engine.evaluate(scripts_of(m=live), f"{TOKENIZE}(['a\\ud83d'])")
    assert rows[0][1] == "a\ufffd" == tokenizer.decode(rows[0][0])


RULES = {
    "as it is": {},
    "cold": {"temperature": 0.3},
    "hot": {"temperature": 1.7},
    "top-k": {"top_k": 5},
    "top-p": {"top_p": 0.6},
    "min-p": {"min_p": 0.2},
    "all": {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.05},
}


@pytest.mark.parametrize("name", RULES)
def test_the_rules_of_sampling_equal_those_of_the_library(engine, name):
    logits = torch.randn(4, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
    logits[:, 7] = -torch.inf
    expected = SamplingConfig(**RULES[name]).probabilities(
        logits, text_generation.NO_IDS.expand(4, 0)
    )
    names = {"top_k": "topK", "top_p": "topP", "min_p": "minP"}
    rules = {names.get(key, key): value for key, value in RULES[name].items()}
    rows = json.dumps(logits.tolist()).replace("-Infinity", "-1e999")
    program = f"{rows}.map(row => Array.from(LiveModels.shape(row, {json.dumps(rules)})))"
    actual = engine.evaluate([ENGINE.read_text("utf-8")], program)
    assert np.abs(np.array(actual) - expected.numpy()).max() < 1e-12


def test_temperature_zero_takes_the_best(engine):
    program = "Array.from(LiveModels.shape([1, 3, 2], {temperature: 0, topP: 0.5, minP: 0.1}))"
    assert engine.evaluate([ENGINE.read_text("utf-8")], program) == [0, 1, 0]


WRITE = """((name, ids, rules, seed, length) => {
    const { build, read, without, shape, draw, makeRandom } = LiveModels;
    const model = build(name), random = makeRandom(seed), added = [];
    let { logits, state } = read(model, ids);
    for (let i = 0; i < length; i++) {
        added.push(draw(shape(without(logits, [0, 1, 2, 3]), rules), random));
        ({ logits, state } = model.step(added[i], state));
    }
    return added;
})"""


@pytest.mark.parametrize("name", ["GPT", "LSTM, tied and projected"])
def test_texts_equal_those_of_the_library(engine, tokenizers, name):
    """Greedily, and with a seed; the first random numbers are those of Python's generator."""
    tokenizer = tokenizers["bpe"]
    model = drawn_anew(NETWORKS[name](len(tokenizer)), std=0.3)
    scripts = scripts_of(m=(convert_gpt if name == "GPT" else convert_lstm)(model, tokenizer, {}))
    rounded, ids = quantized_copy(model), tokenizer.encode("Speak, speak.")
    drawn = engine.evaluate(scripts, f"{WRITE}('m', {ids}, {{temperature: 0.9, topP: 0.8}}, 7, 30)")
    sampling = SamplingConfig(temperature=0.9, top_p=0.8)
    assert drawn == write(rounded, ids, sampling, seed=7, length=30)
    assert len(set(drawn)) > 10
    greedy = engine.evaluate(scripts, f"{WRITE}('m', {ids}, {{temperature: 0}}, 0, 30)")

    def author(ids, state=None):
        logits, state = rounded(ids, state)
        return without_special(logits), state

    assert [greedy] == greedy_search(author, torch.tensor([ids]), max_length=30)
    numbers = engine.evaluate(scripts, "((r) => [r(), r(), r()])(LiveModels.makeRandom(5))")
    source = make_random(5)
    assert numbers == [source() for _ in range(3)]


def test_random_numbers_are_uniform():
    source = make_random(1)
    numbers = np.array([source() for _ in range(20_000)])
    assert 0 <= numbers.min() and numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 2000).max() < 200


# ------------------------------------------------------------------- files


def test_quantized_rows_are_rounded_to_127_steps():
    matrix = torch.tensor([[1.27, -0.634, 0.0], [0.0, 0.0, 0.0], [1e-3, -2e-3, 5e-4]])
    integers, scales = quantize(matrix)
    assert integers.tolist() == [[127, -63, 0], [0, 0, 0], [64, -127, 32]]
    assert scales.tolist() == pytest.approx([0.01, 0.0, 2e-3 / 127])
    error = (quantize(matrix).dequantized() - matrix).abs()
    assert bool((error <= scales[:, None] / 2 + 1e-9).all())


@pytest.mark.parametrize("matrix", [torch.zeros(3), torch.tensor([[1.0, torch.nan]])])
def test_only_finite_matrices_are_quantized(matrix):
    with pytest.raises(ValueError, match="expected a matrix of finite weights"):
        quantize(matrix)


def test_a_shared_matrix_is_written_once(tokenizers):
    tokenizer = tokenizers["bpe"]
    live = convert_gpt(GPT(len(tokenizer), width=8, num_heads=2), tokenizer, {})
    names = [tensor.name for tensor in live.tensors]
    assert "embedding.weight" in names and "output.weight" not in names
    rounded = quantized_copy(GPT(len(tokenizer), width=8, num_heads=2))
    assert rounded.output.weight is rounded.embedding.weight


OTHER_OPTIONS = {
    "positional_encoding": "learned",
    "norm": "layer",
    "activation": "gelu",
    "qk_norm": False,
    "bias": True,
    "ngram_table_sizes": (10,),
}


@pytest.mark.parametrize("option", OTHER_OPTIONS)
def test_a_gpt_with_other_options_is_refused(tokenizers, option):
    options = {option: OTHER_OPTIONS[option]}
    with pytest.raises(ValueError, match="default options alone"):
        convert_gpt(GPT(40, width=8, num_heads=2, **options), tokenizers["bpe"], {})


def test_other_cells_are_refused(tokenizers):
    with pytest.raises(ValueError, match="LSTM cells alone, not 'gru'"):
        convert_lstm(RNNLM(40, width=8, cell="gru"), tokenizers["bpe"], {})


def test_varint_is_read_as_it_was_written(engine):
    numbers = np.array([0, 1, 127, 128, 300, 16_383, 16_384, 2**28, 2**31 - 1])
    content = encode_varint(numbers)
    assert content[:6] == bytes([0, 1, 127, 0x80, 1, 0xAC])
    program = f"Array.from(LiveModels.READERS.varint(new Uint8Array({list(content)}), [9]))"
    assert engine.evaluate([ENGINE.read_text("utf-8")], program) == numbers.tolist()


@pytest.mark.parametrize("number", [-1, 2**31])
def test_varint_refuses_other_numbers(number):
    with pytest.raises(ValueError, match="expected 0 … 2³¹ − 1"):
        encode_varint(np.array([number]))


def test_the_characters_of_bytes_are_those_of_the_library(tokenizers):
    tokenizer = tokenizers["bpe"]
    ids = [tokenizer.backend.token_to_id(character) for character in byte_characters()]
    assert sorted(ids) == list(range(4, 260))
    assert [tokenizer.backend.decode([i]) for i in ids[:128]] == [chr(i) for i in range(128)]


def make_tiny() -> LiveModel:
    tensors = [
        LiveTensor("a", "float32", (20,), bytes(80)),
        LiveTensor("b", "varint", (3,), b"abc"),
    ]
    return LiveModel(
        kind="tokenizer", tensors=tensors, tokenizer={"kind": "characters", "tokens": []}
    )


def test_files_are_described_and_old_ones_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "PART_BYTES", 30)
    first = write_model("tiny", make_tiny(), tmp_path)
    files = model_files.model_files("tiny", tmp_path)
    assert [path.name for path in files] == [f"tiny-{i}.js" for i in range(4)]
    assert first["parts"] == [path.stat().st_size for path in files]
    content = b"".join(path.read_bytes() for path in files)
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(model_files, "PART_BYTES", 60)
    second = write_model("tiny", make_tiny(), tmp_path)
    assert len(model_files.model_files("tiny", tmp_path)) == 3
    assert first["version"] == second["version"]
    write_index({"tiny": second}, tmp_path)
    assert read_index(tmp_path) == {"tiny": second}
    assert read_index(tmp_path / "none") == {}


def test_a_model_above_4_mb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "MAX_BYTES", 300)
    with pytest.raises(ValueError, match="above 300"):
        write_model("tiny", make_tiny(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_missing_bytes_is_called_damaged(engine):
    live = make_tiny()
    scripts = scripts_of(m=live)
    scripts[-1] = re.sub(r'.{4}("\);)', r"\1", scripts[-1])  # of the tensors, in base64
    program = """(() => {
        try { return LiveModels.build("m").name; } catch (error) { return error.reason; }
    })()"""
    assert engine.evaluate(scripts, program) == "damaged"
    assert engine.evaluate(scripts_of(m=live), program) == "m"


# ------------------------------------------------------------------- the models of the site


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_model_are_those_of_the_index(name):
    require_model(name)
    described = read_index(MODELS_FOLDER)[name]
    contents = [path.read_bytes() for path in model_files.model_files(name, MODELS_FOLDER)]
    assert [len(content) for content in contents] == described["parts"]
    assert sum(described["parts"]) <= 4_000_000
    assert hashlib.sha256(b"".join(contents)).hexdigest() == described["sha256"]


def test_no_file_is_left_of_another_model():
    names = {path.name.rpartition("-")[0] for path in MODELS_FOLDER.glob("*-*.js")}
    assert names == set(read_index(MODELS_FOLDER)) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_made_of_what_the_book_stores(name):
    """`python -m tools.live` writes the files again, bit for bit."""
    require_model(name)
    described, live = read_index(MODELS_FOLDER)[name], build(name)
    assert live.version() == described["version"]
    assert {key: described["facts"][key] for key in live.facts} == dict(live.facts)


@pytest.mark.parametrize("name", ["gpt-pieces", "lstm-pieces"])
def test_quantization_costs_less_than_a_hundredth_of_a_bit(name):
    require_model(name)
    facts = read_index(MODELS_FOLDER)[name]["facts"]
    cost = facts["valid_bits_per_character"] - facts["valid_bits_per_character_unquantized"]
    assert abs(cost) < 0.01


PASSAGE = "KING RICHARD:\nMy lord, I am the one whom you have sought; and yet, what is it that " * 9


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_logits_of_the_sites_models_equal_those_of_the_library(engine, name):
    """Over more pieces than the GPT's window has, and greedy texts, too."""
    require_model(name)
    model, tokenizer = page_model(name), tokenizer_of(name)
    ids = tokenizer.encode(PASSAGE)[:200]
    assert len(ids) == 200
    scripts = stored_scripts(name)
    rows = torch.tensor(engine.evaluate(scripts, f"{READ}('{name}', {ids})"))
    with torch.inference_mode():
        expected, _ = model(torch.tensor([ids]))
    assert float((rows - expected[0]).abs().max()) < 1e-4
    prompt = ids[:12]
    greedy = engine.evaluate(scripts, f"{WRITE}('{name}', {prompt}, {{temperature: 0}}, 0, 40)")
    cold = SamplingConfig(top_k=1)
    assert greedy == write(model, prompt, cold, seed=0, length=40)
    assert next_logits(model, prompt).argmax() == greedy[0]


@pytest.mark.parametrize("name", NAMES)
def test_tokenizers_of_the_sites_models_equal_those_of_the_library(engine, name):
    require_model(name)
    tokenizer, strings = tokenizer_of(name), make_strings()
    program = TOKENIZE.replace('build("m")', f'build("{name}")')
    rows = engine.evaluate(stored_scripts(name), f"{program}({json.dumps(strings)})")
    for text, (ids, decoded, *_) in zip(strings, rows, strict=True):
        assert ids == tokenizer.encode(text) and decoded == tokenizer.decode(ids), repr(text)


@pytest.mark.parametrize("name", ["gpt-pieces", "lstm-pieces", "ngram-pieces"])
def test_a_model_writes_at_least_20_pieces_a_second(engine, name):
    require_model(name)
    program = f"""(() => {{
        const model = LiveModels.build("{name}"), start = performance.now();
        LiveModels.read(model, new Array(150).fill(300));
        return 150 / (performance.now() - start) * 1000;
    }})()"""
    assert engine.evaluate(stored_scripts(name), program) > 20


def test_the_scripts_need_nothing_that_a_strict_page_forbids():
    forbidden = (
        r"\b(fetch|XMLHttpRequest|eval|Function|SharedArrayBuffer|innerHTML|import|export)\b"
    )
    for name in (
        "engine.js",
        "translator.js",
        "boxes.js",
        "tree.js",
        "translation.js",
        "heads.js",
        "sentiment.js",
    ):
        code = re.sub(r"//.*", "", (LIVE_FOLDER / name).read_text("utf-8"))
        assert re.findall(rf"{forbidden}|\.style\b", code) == [], name


def test_the_engine_is_short_enough_to_be_read():
    engine, translator = (
        len(path.read_text("utf-8").splitlines()) for path in (ENGINE, TRANSLATOR_SCRIPT)
    )
    assert 400 <= engine <= 600 and translator <= 250


# ------------------------------------------------------------------- the stored examples


def as_template(html: str) -> tuple[str, list[float]]:
    """A box without its probabilities, and these."""
    number = r"\d\.\d{3}"
    return re.sub(number, "p", html), [float(p) for p in re.findall(number, html)]


@pytest.mark.parametrize("path", examples.pages_with_boxes(), ids=lambda path: path.stem)
def test_the_stored_examples_are_those_of_the_present_models(path):
    """`python -m tools.live examples` writes them; another torch may round a probability anew."""
    for name in NAMES:
        require_model(name)
    for kind, stored in examples.read_boxes(path).items():
        text, numbers = as_template(stored)
        expected_text, expected_numbers = as_template(examples.make_example(kind))
        assert text == expected_text, kind
        assert numbers == pytest.approx(expected_numbers, abs=2e-3)


def test_examples_are_written_into_pages_and_notebooks(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "make_example", lambda kind: f"<p>{kind}</p>\nnew")
    box = f'<div class="live-box" data-live="pieces" role="group">\nold\n</div>\n{examples.END}'
    page, notebook = tmp_path / "page.md", tmp_path / "notebook.ipynb"
    page.write_text(f"Before.\n\n{box}\n\nAfter.\n", encoding="utf-8")
    cells = [{"source": ["One.\n", "\n", *box.splitlines(keepends=True)]}, {"source": ["语言"]}]
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert examples.read_boxes(page) == examples.read_boxes(notebook) == {"pieces": box}
    examples.refresh(page)
    examples.refresh(notebook)
    assert page.read_text("utf-8") == "Before.\n\n<p>pieces</p>\nnew\n\nAfter.\n"
    changed = json.loads(notebook.read_text("utf-8"))["cells"]
    assert changed == [{"source": ["One.\n", "\n", "<p>pieces</p>\n", "new"]}, cells[1]]
    assert "语言" in notebook.read_text("utf-8")


def test_pieces_are_shown_as_in_a_box(tokenizers):
    tokenizer = tokenizers["bpe"]
    shown = [visible_piece(tokenizer, i) for i in tokenizer.encode("e\n\t语\x01")]
    assert shown == ["▁", "e", "↵", "⇥", "E8", "AF", "AD", "01"]
    assert visible_piece(tokenizer, 2) == "<eos>"
    characters = tokenizers["characters"]
    assert [visible_piece(characters, i) for i in characters.encode("a \n")] == ["a", "▁", "↵"]


# ------------------------------------------------------------------- the command and the site


@pytest.fixture
def tiny_site(tmp_path, monkeypatch):
    """The command with one tiny model, and a folder for it."""
    monkeypatch.setattr(command, "MODELS_FOLDER", tmp_path)
    monkeypatch.setattr(command, "build", lambda name: make_tiny())
    monkeypatch.setattr(command, "measure_facts", lambda name: {"valid_bits_per_character": 2.5})
    monkeypatch.setattr(command, "pages_with_boxes", lambda: [tmp_path / "page.md"])
    (tmp_path / "page.md").write_text("No box.\n", encoding="utf-8")
    return tmp_path


def test_the_command_writes_measured_models_into_one_index(tiny_site, capsys):
    command.main(["models", "gpt-pieces"])
    command.main(["models", "lstm-pieces"])
    index = read_index(tiny_site)
    assert set(index) == {"gpt-pieces", "lstm-pieces"}
    assert index["gpt-pieces"]["facts"] == {"valid_bits_per_character": 2.5}
    assert index["gpt-pieces"]["version"] == make_tiny().version()
    assert "page.md" not in capsys.readouterr().out
    command.main([])
    assert set(read_index(tiny_site)) == set(NAMES)
    assert "page.md: examples written" in capsys.readouterr().out


def test_the_command_measures_costs(monkeypatch):
    calls = []
    monkeypatch.setattr(command, "write_costs", calls.append)
    command.main(["costs", "gpt-pieces"])
    command.main(["costs"])
    assert calls == [["gpt-pieces"], []]


def test_the_command_prints_a_box(monkeypatch, capsys):
    monkeypatch.setattr(command, "make_example", lambda kind: f"a box: {kind}")
    command.main(["box", "pieces"])
    assert capsys.readouterr().out == "a box: pieces\n"


@pytest.mark.parametrize(
    "arguments, known", [(["box", "gpt"], "ngram, pieces"), (["models", "gpt"], "gpt-pieces, lstm")]
)
def test_the_command_refuses_unknown_names(arguments, known, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    error = capsys.readouterr().err
    assert "unknown name 'gpt'" in error and known in error


@pytest.mark.parametrize(
    "body, more",
    [
        ('<div class="live-box" data-live="a">', ()),
        ('<div class="live-box" data-live="heads">', ("live/heads.js",)),
        (
            '<div class="live-box" data-live="beam">',
            ("live/translator.js", "live/tree.js", "live/translation.js"),
        ),
        ("<p>", None),
    ],
)
def test_only_a_page_with_a_box_loads_the_scripts(body, more):
    class App:
        def __init__(self):
            self.scripts, self.styles = [], []

        def add_js_file(self, name, **options):
            self.scripts.append((options["priority"], name))

        def add_css_file(self, name):
            self.styles.append(name)

    app = App()
    boxes.add_files(app, "", "", {"body": body}, None)
    scripts = [] if more is None else [*boxes.SCRIPTS, *more]
    assert [name for _, name in sorted(app.scripts)] == scripts
    assert len(app.styles) == min(len(scripts), 1)


def test_the_table_has_a_model_with_and_without_figures():
    facts = {"parameters": 12_345, "valid_bits_per_character": 1.95}
    row = boxes.table_row("gpt", {"parts": [10_000, 2_000_000], "facts": facts})
    assert row == ["`gpt`", "2.01", "12,345", "1.9500"]
    assert boxes.table_row("a", {"parts": [4000], "facts": {}}) == ["`a`", "0.00", "", ""]


# ------------------------------------------------------------------- the boxes in a browser


@needs_models
def test_the_examples_stand_there_without_scripts(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".live-example").count() == 7
    assert all(example.is_visible() for example in page.locator(".live-example").all())
    assert page.locator(".live-box button").count() == 0


@needs_models
@pytest.mark.parametrize("source", ["server", "file system"])
def test_each_box_opens_and_closes(open_page, site, source):
    """From a server and from the file system; sizes are told before, and nothing loads before."""
    page = open_page(root=None if source == "server" else f"{site.as_uri()}/")
    assert not any(re.search(r"-\d+\.js", url) for url in page.requests)
    sizes = {"ngram": "0.7 MB", "pieces": "0.01 MB", "sampling": "3.5 MB"}
    sizes |= {"heads": "1.3 MB", "attention": "2.1 MB", "beam": "2.1 MB"}
    sizes |= {"sentiment": "1.9 MB"}
    for kind, megabytes in sizes.items():
        box = box_of(page, kind)
        assert box.get_by_role("button").inner_text() == f"Try it here (loads {megabytes})"
        opened_box(page, kind)
        assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
        assert not box.locator(".live-example").is_visible()
        page.emulate_media(media="print")
        assert box.locator(".live-example").is_visible()
        assert all(drawing.is_visible() for drawing in box.locator(".live-example svg").all())
        assert not box.locator(".live-parts").is_visible()
        page.emulate_media(media="screen")
        box.get_by_role("button", name="Close").click()
        assert box.locator(".live-example").is_visible()
        assert page.evaluate("document.activeElement.textContent").startswith("Try it here")


@needs_models
def test_a_box_opens_by_the_keyboard_and_twice_by_a_double_click_only_once(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-live="ngram"][data-state="open"]')
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # the order
    assert box_of(page, "ngram").get_by_label("Order").input_value() == "4"
    box_of(page, "pieces").get_by_role("button").dblclick()
    page.wait_for_selector('[data-live="pieces"][data-state="open"]')
    loaded = [url for url in page.requests if "tokenizer-pieces-0.js" in url]
    assert len(loaded) == 1


def distribution_of(box):
    rows = box.locator(".live-parts .live-distribution li").all_inner_texts()
    return [float(re.findall(r"\d\.\d{3}", row)[-1]) for row in rows]


@needs_models
def test_writing_with_an_ngram(open_page):
    page = open_page()
    box = opened_box(page, "ngram")
    field = box.get_by_label("Text")
    assert sum(distribution_of(box)) == pytest.approx(1, abs=0.01)
    stored = examples.read_boxes(ROOT / "book" / "live.md")["ngram"]
    assert distribution_of(box)[:8] == as_template(stored)[1][1::2]
    assert "“to▁b”" in box.locator(".live-parts .live-note").inner_text() or "▁b”" in (
        box.locator(".live-parts .live-note").inner_text()
    )
    box.locator(".live-parts .live-distribution button").first.click()
    assert field.input_value() == "To be, or not to be"
    assert "Drawn: e, probability" in status_of(box).inner_text()
    assert page.evaluate("document.activeElement.closest('.live-distribution') !== null")
    box.get_by_role("button", name="Draw one").click()
    assert len(field.input_value()) == 20
    box.get_by_role("button", name="Write 100").click()
    wait_for_status(page, "ngram", "Written: 100.")
    assert len(field.input_value()) == 120
    before = distribution_of(box)
    box.get_by_label("Order").select_option("1")
    assert distribution_of(box) != before
    assert "No context" in box.locator(".live-parts .live-note").inner_text()


@needs_models
def test_bad_input_for_an_ngram(open_page):
    page = open_page()
    box = opened_box(page, "ngram")
    field = box.get_by_label("Text")
    for text in ("", "语言模型", "🙂 the", "x" * 10_000, "<b>&amp;</b>"):
        field.fill(text)
        assert sum(distribution_of(box)) == pytest.approx(1, abs=0.01), text[:20]
    field.fill("语言 the")
    assert "语 言" in box.locator(".live-parts .live-note").inner_text()
    box.get_by_role("button", name="Write 100").click()
    box.get_by_role("button", name="Stop").click()
    wait_for_status(page, "ngram", "Stopped after")
    box.get_by_role("button", name="Clear").click()
    assert field.input_value() == ""
    box.get_by_role("button", name="Write 100").click()
    field.fill("A new text")  # while the model writes
    page.wait_for_timeout(500)
    assert field.input_value() == "A new text"


@needs_models
def test_a_text_in_pieces(open_page):
    page = open_page()
    box = opened_box(page, "pieces")
    tokenizer, field = tokenizer_of("gpt-pieces"), box.get_by_label("Text")
    for text in ("The king of 法国 saw a naïve 🙂.", "e\u0301 \u0928\u093f", " ", "<script>"):
        field.fill(text)
        ids = tokenizer.encode(text)
        wait_for_status(page, "pieces", f"{len(text.encode())} bytes, {len(ids)} pieces")
        assert box.locator(".live-parts .live-id").all_inner_texts() == [str(i) for i in ids]
    field.fill("")
    wait_for_status(page, "pieces", "The text is empty.")
    assert box.locator(".live-parts .live-pieces li").count() == 0
    field.fill("语" * 10_000)
    wait_for_status(page, "pieces", "Only the first 2000 of 10000 characters are shown.")
    assert (
        box.locator(".live-parts .live-pieces li").count() == 6001
    )  # three bytes each, after a space


def columns_of(box):
    return box.locator(".live-parts .live-column")


@needs_models
def test_three_models_write_what_the_stored_example_has(open_page):
    """With its seed and rules; the most probable pieces are those of the library."""
    page = open_page()
    box = opened_box(page, "sampling")
    box.get_by_role("button", name="Write 60").click()
    wait_for_status(page, "sampling", "Written by each: 60.")
    stored = examples.read_boxes(ROOT / "book" / "live.md")["sampling"]
    texts = re.findall('<p class="live-text">(.*?)</p>', stored)
    for column, html in zip(columns_of(box).all(), texts, strict=True):
        expected = page.evaluate(
            """html => { const p = document.createElement('p'); p.className = 'live-text';
                p.innerHTML = html; document.body.append(p); return p.innerText; }""",
            html,
        )
        assert column.locator(".live-text").inner_text() == expected
    first = [column.get_attribute("aria-label") for column in columns_of(box).all()]
    assert first == ["GPT", "LSTM", "Counts (n = 3)"]


@needs_models
def test_sliders_change_the_distribution(open_page):
    page = open_page()
    box = opened_box(page, "sampling")
    wait_for_status(page, "sampling", "")
    column = columns_of(box).first
    column.locator("li").first.wait_for()
    box.get_by_label("Top-p").fill("1")
    for label, value, dropped in [("Top-k", "1", 6), ("Top-k", "0", 7), ("Temperature", "0", 7)]:
        box.get_by_label("Top-k").fill("10")
        box.get_by_label("Temperature").fill("1")
        slider = box.get_by_label(label)
        slider.fill(value)
        assert column.locator(".live-left-out").count() == dropped, label
        assert slider.get_attribute("aria-valuetext")
    box.get_by_label("Temperature").fill("1")
    box.get_by_label("Min-p").fill("0.5")
    dropped = column.locator(".live-left-out").count()
    assert 0 < dropped < 8
    box.get_by_label("Min-p").focus()
    page.keyboard.press("Home")
    assert box.get_by_label("Min-p").get_attribute("aria-valuetext") == "0.00"


@needs_models
def test_bad_prompts(open_page):
    page = open_page()
    box = opened_box(page, "sampling")
    field = box.get_by_label("Prompt")
    says = {
        "": "The text is empty.",
        "语言模型 🙂": "The prompt has 18 pieces.",
        "a" * 10_000: "Only the last 256 of",
        "KING": "The prompt has 2 pieces.",
    }
    for text, line in says.items():
        field.fill(text)
        wait_for_status(page, "sampling", line)
        box.get_by_role("button", name="Next piece").click()
        wait_for_status(page, "sampling", "Written by each: 1.")
        assert columns_of(box).first.locator("li").count() == 8
    box.get_by_role("button", name="Write 60").click()
    box.get_by_role("button", name="Stop").click()
    wait_for_status(page, "sampling", "Stopped after")
    box.get_by_role("button", name="Write 60").click()
    field.fill("A new prompt")  # while the models write
    wait_for_status(page, "sampling", "The prompt has")
    box.get_by_role("button", name="Write 60").click()
    box.get_by_role("button", name="Close").click()
    assert box.locator(".live-example").is_visible()


HELD_FILE = "**/gpt-pieces-3.js*"


def hold_file(page):
    """Let a file of a model wait, until the route is taken away."""
    page.route(HELD_FILE, lambda route: None)


@needs_models
def test_loading_can_be_stopped_and_taken_up_again(open_page):
    page = open_page()
    hold_file(page)
    box = box_of(page, "sampling")
    box.get_by_role("button").click()
    page.wait_for_function("() => document.querySelector('progress').value > 0.1")
    assert (
        0.1
        < float(
            box.locator("progress").get_attribute("value")
            or page.evaluate("document.querySelector('progress').value")
        )
        < 0.5
    )
    assert page.evaluate("document.activeElement.textContent") == "Stop"
    page.keyboard.press("Enter")
    wait_for_status(page, "sampling", "Loading was stopped.")
    assert page.evaluate("document.activeElement.textContent").startswith("Try it here")
    page.unroute(HELD_FILE)
    before = len(page.requests)
    opened_box(page, "sampling")
    again = [url for url in page.requests[before:] if "gpt-pieces-1.js" in url]
    assert again == [], "what has come is loaded again"


@needs_models
def test_leaving_while_a_model_loads(open_page):
    page = open_page()
    hold_file(page)
    box_of(page, "sampling").get_by_role("button").click()
    page.wait_for_function("() => document.querySelector('progress').value > 0.1")
    page.goto(page.url.replace("light", "dark"))
    page.wait_for_selector(".live-box button")


@needs_models
def test_a_file_that_is_missing_or_does_not_fit(open_page):
    page = open_page(are_faults_expected=True)
    page.route("**/ngram-characters-1.js*", lambda route: route.fulfill(status=404))
    box = box_of(page, "ngram")
    box.get_by_role("button").click()
    wait_for_status(page, "ngram", "could not be loaded")
    page.unroute("**/ngram-characters-1.js*")
    old = 'LiveModels.receive("ngram-characters","another",1,"AAAA");'
    page.route(
        "**/ngram-characters-1.js*",
        lambda route: route.fulfill(body=old, content_type="text/javascript"),
    )
    box.get_by_role("button").click()
    wait_for_status(page, "ngram", "do not fit together")
    page.unroute("**/ngram-characters-1.js*")
    page.evaluate(
        "() => { window.whole = atob; window.atob = () => { throw new RangeError('memory'); }; }"
    )
    box.get_by_role("button").click()
    wait_for_status(page, "ngram", "too little memory")
    page.evaluate("() => { window.atob = () => { throw 'out of memory'; }; }")  # as Firefox does
    box.get_by_role("button").click()
    page.wait_for_selector('[data-live="ngram"][data-state="closed"] .live-button')
    assert "too little memory" in status_of(box).inner_text()
    page.evaluate("() => { window.atob = window.whole; }")
    opened_box(page, "ngram")


@needs_models
def test_two_boxes_load_one_model_at_once(open_page):
    """Each has it, and keeps it when the other is closed."""
    page = open_page()
    page.evaluate("""() => {
        for (const kind of ['sampling', 'heads', 'attention', 'beam']) {
            document.querySelector(`[data-live=${kind}] button`).click();
        }
    }""")
    for kind in ("sampling", "heads", "attention", "beam"):
        page.wait_for_selector(f'[data-live="{kind}"][data-state="open"]')
    for kind in ("sampling", "attention"):
        box_of(page, kind).get_by_role("button", name="Close").click()
    box_of(page, "heads").get_by_role("button", name="Read the text").click()
    wait_for_status(page, "heads", "Most costly")
    box_of(page, "beam").get_by_role("button", name="Translate").click()
    wait_for_status(page, "beam", "Ended after")
    opened_box(page, "sampling")


@needs_models
@pytest.mark.parametrize("name", ["light", "dark"])
def test_axe_finds_no_fault_in_open_boxes(open_page, name):
    axe = pytest.importorskip("axe_playwright_python.base").AXE_FILE_PATH.read_text("utf-8")
    page = open_page(name)
    for state in ("closed", "open"):
        if state == "open":
            for kind in examples.TITLES:
                opened_box(page, kind)
            columns_of(box_of(page, "sampling")).last.locator("li").first.wait_for()
        page.evaluate(axe)
        result = page.evaluate(f"axe.run({AXE_RULES})")
        unknown = [fault for fault in result["incomplete"] if fault["id"] == "color-contrast"]
        nodes = [
            (fault["id"], node["html"])
            for fault in [*result["violations"], *unknown]
            for node in fault["nodes"]
            if not is_symbol(node) and not node["html"].startswith("<text ")
        ]
        assert nodes == [], state


CONTRASTS = """() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => channels(color).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    return Array.from(document.querySelectorAll('.live-drawing > g[class]'), (shape) => {
        const fillOf = (name) => getComputedStyle(shape.querySelector(name)).fill;
        const [box, text] = ['rect', 'text'].map(fillOf);
        const [low, high] = [luminance(box), luminance(text)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    });
}"""


@needs_models
@pytest.mark.parametrize("name", ["light", "dark"])
def test_texts_of_the_drawing_stand_out(open_page, name):
    """Axe cannot find out what lies behind the text of a drawing."""
    ratios = open_page(name).evaluate(CONTRASTS)
    assert len(ratios) > 50 and min(ratios) >= 4.5 and len({round(r, 2) for r in ratios}) >= 3


@needs_models
@pytest.mark.parametrize("width", [390, 1000])
def test_open_boxes_fit_the_screen(open_page, width):
    page = open_page(width=width)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    heights = page.evaluate("""() => Array.from(
        document.querySelectorAll('.live-hypotheses td:last-child'),
        cell => { const range = document.createRange(); range.selectNodeContents(cell);
            return range.getClientRects().length; })""")
    assert set(heights) == {1}, "a number is broken into lines"
    for kind in examples.TITLES:
        opened_box(page, kind)
    columns_of(box_of(page, "sampling")).last.locator("li").first.wait_for()
    box_of(page, "pieces").get_by_label("Text").fill("a" * 500 + "语" * 300)
    wait_for_status(page, "pieces", "800 characters")
    box_of(page, "ngram").get_by_label("Text").fill("W" * 500)
    assert page.evaluate(overflow) <= 0


@needs_models
def test_nothing_is_shown_before_its_end_to_a_reader_who_wants_no_motion(open_page):
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, "sampling")
    added = columns_of(box).first.locator(".live-new")
    columns_of(box).first.locator("li").first.wait_for()
    page.evaluate("""() => {
        window.changes = 0;
        const added = document.querySelector('.live-parts .live-new');
        new MutationObserver(() => { window.changes += 1; }).observe(added, {childList: true});
    }""")
    box.get_by_role("button", name="Write 60").click()
    wait_for_status(page, "sampling", "Written by each: 60.")
    assert page.evaluate("window.changes") == 1 and len(added.inner_text()) > 50


@needs_models
def test_a_chinese_page_has_chinese_words(open_page):
    page = open_page("chinese")
    assert "加载 0.7 MB" in box_of(page, "ngram").get_by_role("button").inner_text()
    box = opened_box(page, "pieces")
    wait_for_status(page, "pieces", "个字节")
    assert box.get_by_role("button", name="关闭").is_visible()


def test_both_languages_say_the_same():
    code = (LIVE_FOLDER / "boxes.js").read_text("utf-8")
    rows = re.findall(r'^    (\w+): \[\s*"(.*?)",\s*"(.*?)",?\s*\],$', code, re.MULTILINE)
    assert len(rows) > 40
    for key, english, chinese in rows:
        names = [sorted(re.findall(r"\{\w+\}", text)) for text in (english, chinese)]
        assert names[0] == names[1], key
        assert english == chinese or re.search("[\u3400-\u9fff]", chinese), key
    code += "".join(
        (LIVE_FOLDER / f"{name}.js").read_text("utf-8")
        for name in ("translation", "tree", "heads", "sentiment")
    )
    used = set(re.findall(r'say\("(\w+)"', code))
    assert used <= {key for key, _, _ in rows}
