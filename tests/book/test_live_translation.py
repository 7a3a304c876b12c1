"""The translator in the pages: engine, searches, boxes and the cost of 8-bit weights.

What the boxes share with the others, such as loading and printing, is in ``test_live``.
"""

import copy
import json
import re

import numpy as np
import pytest
import torch

from tests.helpers.live_pages import (
    ROOT,
    drawn_anew,
    needs_models,
    opened_box,
    require_model,
    scripts_of,
    status_of,
    stored_scripts,
    wait_for_status,
)
from tools.live import boxes, costs, examples, measures
from tools.live import translation as page_translation
from tools.live.architectures import convert_translator
from tools.live.beam_tree import number_text, run_text
from tools.live.catalogue import (
    MODELS_FOLDER,
    STORED_TRANSLATOR,
    TRANSLATOR,
    page_translator,
    tokenizer_of,
    weights_checksum,
)
from tools.live.model_files import read_index
from tools.live.quantization import quantized_copy
from tools.live.translation import beam_tree, translate_greedily
from utils.data.corpora import load_pairs
from utils.data.vocabulary import BOS, EOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_hypotheses import BeamHypotheses
from utils.decoding.beam_search import beam_search
from utils.decoding.greedy_search import greedy_search
from utils.decoding.translation import translate
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.stored_translator import build_translator

STEPS = """((name, source, ids) => {
    const model = LiveModels.build(name), rows = [];
    let state = model.start(source);
    for (const id of ids) {
        const step = model.step(id, state);
        rows.push([Array.from(step.logits), Array.from(step.weights)]);
        state = step.state;
    }
    return rows;
})"""

SEARCH = """((name, sources, options) => {
    const model = LiveModels.build(name);
    const runs = ({ ids, end, children }) => [ids, end !== null, children.map(runs)];
    return sources.map((source) => {
        const greedy = new LiveModels.GreedySearch(model, source);
        const beam = new LiveModels.BeamSearch(model, source, options);
        while (greedy.step());
        while (beam.step());
        return {
            greedy: [greedy.ids, greedy.logProb, greedy.weights.length],
            beam: beam.finished.map(({ ids, logProb, score }) => [ids, logProb, score]),
            tree: runs(LiveModels.runsOf(beam.root, [])),
        };
    });
})"""


@pytest.fixture(scope="module")
def tiny(tokenizers):
    """A translator with random weights that ends its texts now and then, and its tokenizer."""
    model = drawn_anew(build_translator(len(tokenizers["bpe"]), width=24), std=0.4)
    with torch.no_grad():
        model.decoder.output.bias[EOS] += 6
    return model, tokenizers["bpe"]


@pytest.mark.parametrize("source", [[7], [9, 8, 200, 17, 40, 40, 3]])
def test_logits_and_attention_equal_those_of_torch(engine, tiny, source):
    model, tokenizer = tiny
    ids = [BOS, 5, 300, 5, 6, 20]
    rows = engine.evaluate(
        scripts_of(m=convert_translator(model, tokenizer, {})), f"{STEPS}('m', {source}, {ids})"
    )
    rounded, inputs = quantized_copy(model), torch.tensor([ids])
    with torch.inference_mode():
        state = rounded.begin(torch.tensor([source]))
        logits, _ = rounded(inputs, state)
        weights = rounded.decoder.attention_weights(inputs, state)
        unrounded, _ = model(inputs, model.begin(torch.tensor([source])))
    actual_logits, actual_weights = (torch.tensor(part) for part in zip(*rows, strict=True))
    assert float((actual_logits - logits[0]).abs().max()) < 1e-4
    assert float((actual_weights - weights[0]).abs().max()) < 1e-5
    assert float((unrounded - logits).abs().max()) > 1e-3, "weights are not rounded"


def runs_of(node):
    """The tree of Python's search in the form of the engine's."""
    ids = [node.token]
    while len(node.children) == 1 and node.end is None:
        node = node.children[0]
        ids.append(node.token)
    return [ids, node.end is not None, [runs_of(child) for child in node.children]]


@pytest.mark.parametrize("size, penalty", [(5, 1.0), (1, 1.0), (2, 0.0), (8, 2.0)])
def test_searches_equal_those_of_the_library(engine, tiny, size, penalty):
    """Ids, log-probabilities, scores, and the tree."""
    model, tokenizer = tiny
    generator = torch.Generator().manual_seed(1)
    sources = [
        torch.randint(4, len(tokenizer), (length,), generator=generator).tolist()
        for length in (1, 2, 5, 9, 14)
    ]
    options = json.dumps({"size": size, "penalty": penalty})
    scripts = scripts_of(m=convert_translator(model, tokenizer, {}))
    results = engine.evaluate(scripts, f"{SEARCH}('m', {sources}, {options})")
    rounded, beam = quantized_copy(model), BeamConfig(size, length_penalty=penalty, patience=1)
    for source, found in zip(sources, results, strict=True):
        state = rounded.begin(torch.tensor([source]))
        search = {"max_length": page_translation.MAX_LENGTH}
        (greedy,) = greedy_search(rounded, torch.tensor([[BOS]]), state, **search)
        expected = translate_greedily(rounded, source)
        assert found["greedy"][0] == greedy == expected.ids
        assert found["greedy"][1] == pytest.approx(expected.log_prob, abs=1e-4)
        assert found["greedy"][2] == len(expected.weights)
        (hypotheses,) = beam_search(rounded, torch.tensor([[BOS]]), state, beam=beam, **search)
        assert [row[0] for row in found["beam"]] == [best.ids for best in hypotheses]
        for row, best in zip(found["beam"], hypotheses, strict=True):
            assert row[1:] == pytest.approx([best.log_prob, best.score], abs=1e-4)
        tree = beam_tree(rounded, source, beam)
        assert tree.hypotheses == hypotheses
        assert found["tree"] == runs_of(tree.root)


def test_a_search_without_an_end_stops_at_the_longest_length(engine, tiny):
    model, tokenizer = copy.deepcopy(tiny[0]), tiny[1]
    with torch.no_grad():
        model.decoder.output.bias[EOS] = -100
    scripts = scripts_of(m=convert_translator(model, tokenizer, {}))
    (found,) = engine.evaluate(scripts, f"{SEARCH}('m', [[7, 8]], {{}})")
    tree = beam_tree(quantized_copy(model), [7, 8])
    assert [row[0] for row in found["beam"]] == [best.ids for best in tree.hypotheses]
    assert found["tree"] == runs_of(tree.root)
    assert {len(row[0]) for row in found["beam"]} == {len(found["greedy"][0])} == {60}


TRACE = """((name, source, options) => {
    const search = new LiveModels.BeamSearch(LiveModels.build(name), source, options), trace = [];
    const idsOf = LiveModels.idsOf;
    for (let goesOn = true; goesOn;) {
        goesOn = search.step();
        trace.push({
            beam: search.beam.map(({ node }) => [idsOf(node), node.logProb]),
            finished: search.finished.map(({ ids, logProb, score }) => [ids, logProb, score]),
            kept: search.steps.at(-1).filter(({ end }) => !end)
                .map(({ node, logProb }) => [idsOf(node), logProb]),
            ended: search.steps.at(-1).filter(({ end }) => end)
                .map(({ node, logProb }) => [idsOf(node), logProb]),
            logProbs: search.steps.at(-1).map(({ logProb }) => logProb),
        });
    }
    return trace;
})"""


def search_traced(model, source, *, size, penalty, monkeypatch):
    """The library's own beam search: its beam and its finished hypotheses after each step."""
    trace = []

    class Traced(BeamHypotheses):
        def _set_beam(self, beam):
            self.kept = list(beam)
            super()._set_beam(beam)

        def _finish(self, ids, log_prob):
            self.ended.append([list(ids), log_prob])
            super()._finish(ids, log_prob)

        def advance(self, continuations):
            self.ended = []
            super().advance(continuations)
            partial = [[list(one.ids), one.log_prob] for one in self.beam if one.log_prob > -np.inf]
            trace.append(
                {
                    "beam": partial,
                    "finished": [[best.ids, best.log_prob, best.score] for best in self.finished],
                    "kept": [[list(one.ids), one.log_prob] for one in self.kept],
                    "ended": self.ended,
                }
            )

    monkeypatch.setattr("utils.decoding.beam_search.BeamHypotheses", Traced)
    beam = BeamConfig(size, length_penalty=penalty, patience=1)
    state, limit = model.begin(torch.tensor([source])), page_translation.MAX_LENGTH
    beam_search(model, torch.tensor([[BOS]]), state, beam=beam, max_length=limit)
    return trace


def assert_same_hypotheses(actual, expected):
    assert [row[0] for row in actual] == [row[0] for row in expected]
    for row, other in zip(actual, expected, strict=True):
        assert row[1:] == pytest.approx(other[1:], abs=1e-4)


@pytest.mark.parametrize("size, penalty", [(5, 1.0), (1, 1.0), (2, 0.0), (8, 2.0)])
def test_each_step_of_the_search_is_that_of_the_library(engine, tiny, size, penalty, monkeypatch):
    """What a step kept, what it ended, the beam after it and the best that have ended so far."""
    model, tokenizer = tiny
    rounded, options = quantized_copy(model), json.dumps({"size": size, "penalty": penalty})
    scripts = scripts_of(m=convert_translator(model, tokenizer, {}))
    for source in ([30], [9, 8, 200, 17, 40, 40, 3], list(range(60, 72))):
        trace = engine.evaluate(scripts, f"{TRACE}('m', {source}, {options})")
        expected = search_traced(
            rounded, source, size=size, penalty=penalty, monkeypatch=monkeypatch
        )
        assert len(trace) == len(expected)
        tree = beam_tree(rounded, source, BeamConfig(size, length_penalty=penalty, patience=1))
        for step, other, items in zip(trace, expected, tree.steps, strict=True):
            for part in ("beam", "finished", "kept"):
                assert_same_hypotheses(step[part], other[part])
            # at the longest length the library ends those that it kept, too
            ended = other["ended"][: len(step["ended"])]
            assert_same_hypotheses(step["ended"], ended)
            assert other["ended"][len(ended) :] in ([], other["kept"])
            assert step["logProbs"] == sorted(step["logProbs"], reverse=True)
            assert step["logProbs"] == pytest.approx([item.log_prob for item in items], abs=1e-4)
            assert step["ended"] == [
                [item.node.ids(), pytest.approx(item.log_prob, abs=1e-4)]
                for item in items
                if item.has_ended
            ]


OTHERS = {
    "cell": lambda V: build_translator(V, width=8, cell="lstm"),
    "score": lambda V: build_translator(V, width=8, attention_score="scaled"),
    "location": lambda V: build_translator(V, width=8, attention_score="location"),
    "direction": lambda V: share_embeddings(
        EncoderDecoder(
            RNNEncoder(V, width=8, bidirectional=False), build_translator(V, width=8).decoder
        )
    ),
    "layers": lambda V: share_embeddings(
        EncoderDecoder(RNNEncoder(V, width=8, num_layers=2), build_translator(V, width=8).decoder)
    ),
    "embedding": lambda V: EncoderDecoder(
        RNNEncoder(V, width=8), build_translator(V, width=8).decoder
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_translator_is_refused(tokenizers, name):
    tokenizer = tokenizers["bpe"]
    with pytest.raises(ValueError, match="single GRUs with additive attention"):
        convert_translator(OTHERS[name](len(tokenizer)), tokenizer, {})


def test_a_run_of_the_tree_as_text(tokenizers):
    tokenizer = tokenizers["bpe"]
    ids = tokenizer.encode("speak, citizens")
    assert run_text(tokenizer, [BOS, *ids]) == run_text(tokenizer, ids) == "speak, citizens"
    assert run_text(tokenizer, tokenizer.encode("speaks")[-1:]) == "-s"
    assert run_text(tokenizer, tokenizer.encode("speak.")[-1:]) == "."
    assert run_text(tokenizer, [BOS]) == "▁"


# ------------------------------------------------------------------- the model of the site


@pytest.fixture(scope="module")
def captions():
    require_model(TRANSLATOR)
    corpus = load_pairs("multi30k", source_language="de", target_language="en")
    if corpus.origin != "real":
        pytest.skip("the real captions are not here")
    return [source for source, _ in corpus.valid[:24]]


def test_translations_of_the_site_equal_those_of_the_library(engine, captions):
    """Two dozen sentences greedily and with a beam of 5; logits of some of them, too."""
    model, tokenizer = page_translator(), tokenizer_of(TRANSLATOR)
    sources = [tokenizer.encode(text) for text in captions]
    scripts = stored_scripts(TRANSLATOR)
    results = engine.evaluate(scripts, f"{SEARCH}('{TRANSLATOR}', {sources}, {{size: 5}})")
    for name, beam in (("greedy", None), ("beam", page_translation.BEAM)):
        expected = translate(model, captions, tokenizer, beam=beam, max_length=60)
        ids = [found[name][0] if beam is None else found[name][0][0] for found in results]
        assert [tokenizer.decode(row) for row in ids] == expected
    assert len(set(expected)) > 20
    for source, found in list(zip(sources, results, strict=True))[:5]:
        inputs = [BOS, *found["greedy"][0]]
        rows = engine.evaluate(scripts, f"{STEPS}('{TRANSLATOR}', {source}, {inputs})")
        with torch.inference_mode():
            logits, _ = model(torch.tensor([inputs]), model.begin(torch.tensor([source])))
        assert float((torch.tensor([row[0] for row in rows]) - logits[0]).abs().max()) < 1e-4


def test_the_translator_writes_at_least_20_pieces_a_second(engine):
    require_model(TRANSLATOR)
    program = f"""(() => {{
        const model = LiveModels.build("{TRANSLATOR}"), start = performance.now();
        let state = model.start(new Array(20).fill(300));
        for (let i = 0; i < 100; i++) ({{ state }} = model.step(300, state));
        return 100 / (performance.now() - start) * 1000;
    }})()"""
    assert engine.evaluate(stored_scripts(TRANSLATOR), program) > 20


# ------------------------------------------------------------------- what 8-bit weights cost


def test_the_stored_costs_are_those_of_the_rows_and_of_the_present_weights():
    entries = costs.read_costs()
    if not entries:
        pytest.skip("the cost of 8-bit weights was not measured yet")
    assert list(entries) == [cost.label for cost in costs.COSTS]
    for cost in costs.COSTS:
        entry = entries[cost.label]
        name = STORED_TRANSLATOR if cost.model == TRANSLATOR else cost.model
        assert entry["weights_sha256"] == weights_checksum(name), "measure again: tools.live costs"
        record = costs.tested_record(cost, entry["rows"])
        assert record["holds"] and entry["record"]["holds"]
        assert record["values"] == pytest.approx(entry["record"]["values"], abs=1e-9)
        assert set(entry["rows"]) == {costs.PAGE_ARM, costs.STORED_ARM}
    facts = read_index(MODELS_FOLDER)["gpt-pieces"]["facts"]
    loss = entries["claim-live-gpt"]["record"]["values"][costs.PAGE_ARM]
    assert loss == pytest.approx(facts["valid_bits_per_character"], abs=1e-3)


@pytest.mark.parametrize("worse, holds", [(0.0, True), (0.002, True), (0.02, False)])
def test_a_cost_above_its_margin_is_no_claim_that_holds(worse, holds):
    source = np.random.default_rng(0)
    cost, characters = costs.COSTS[0], 250
    stored = np.stack([source.normal(500, 50, 60), np.full(60, characters)], 1)
    page = stored + np.array([worse * characters, 0])
    arms = {costs.PAGE_ARM: page.tolist(), costs.STORED_ARM: stored.tolist()}
    record = costs.tested_record(cost, arms)
    assert record["holds"] is holds
    assert record["values"][costs.PAGE_ARM] - record["values"][costs.STORED_ARM] == pytest.approx(
        worse, abs=1e-9
    )


def test_bleu_of_counts_is_that_of_the_texts():
    answers, references = ["a dog runs in the snow", "two men"], ["the dog runs in snow", "two men"]
    metric = measures.make_bleu_metric(tokenize="13a", lowercase=False, effective_order=True)
    scores = [metric.sentence_score(a, [r]) for a, r in zip(answers, references, strict=True)]
    counts = [[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores]
    expected = measures.BLEU(smooth_method="exp").corpus_score(answers, [references]).score
    assert measures.bleu_of_counts(np.array(counts).sum(0)) == pytest.approx(expected)


def fake_record(*, holds=True):
    comparison = {"subject": "a", "other": "b", "effect": -0.00021, "interval": [-0.0005, 0.0001]}
    comparison |= {"p": 0.01, "level": 0.9, "spread": None, "test": "bootstrap", "holds": holds}
    values = {costs.PAGE_ARM: 1.9486, costs.STORED_ARM: 1.9488}
    record = {"holds": holds, "comparisons": [comparison], "values": values, "items": 400}
    return record | {"kind": "no difference", "unit": "bits", "threshold": 0.005, "over": "items"}


def test_the_table_of_costs_shows_the_difference_with_its_interval():
    row = boxes.cost_row(costs.COSTS[0], fake_record())
    assert row[:2] == ["`gpt-pieces`", "loss, bits per character"]
    assert row[2:4] == ["1.9488", "1.9486"]
    assert row[4] == "−0.0002 \\[−0.0005, +0.0001\\]".replace("+", "")


@pytest.mark.parametrize("missing", [True, False])
def test_a_page_with_a_claim_that_does_not_hold_is_not_built(monkeypatch, missing):
    records = {cost.label: {"record": fake_record()} for cost in costs.COSTS}
    if missing:
        del records["claim-live-beam"]
    else:
        records["claim-live-beam"] = {"record": fake_record(holds=False)}
    monkeypatch.setattr(boxes, "read_costs", lambda: records)
    with pytest.raises(ValueError, match="claim-live-beam: not measured, or does not hold"):
        list(boxes.LiveCosts.markdown(None))
    records["claim-live-beam"] = {"record": fake_record() | {"differs": "d", "shared": "s"}}
    for record in records.values():
        record["record"] |= {"differs": "the weights", "shared": "the text"}
    lines = list(boxes.LiveCosts.markdown(None))
    assert lines.count("(claim-live-beam)=") == 1 and costs.COSTS[4].sentence in lines


# ------------------------------------------------------------------- the boxes


def stored_box(kind):
    return examples.read_boxes(ROOT / "book" / "live.md")[kind]


def target_of(box):
    return box.locator(".live-parts .live-target button").all_inner_texts()


def translated(page, box, kind="attention", text="Translated in"):
    box.get_by_role("button", name="Translate").click()
    wait_for_status(page, kind, text)


@needs_models
def test_a_translation_with_its_attention(open_page):
    """The table is that of the stored example; each piece shows where its step looked."""
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, "attention")
    translated(page, box)
    model, tokenizer = page_translator(), tokenizer_of(TRANSLATOR)
    source = tokenizer.encode(page_translation.ATTENTION_SENTENCE)
    found = translate_greedily(model, source)
    assert tokenizer.decode(found.ids) in status_of(box).inner_text()
    assert target_of(box)[-1] == "end" and len(target_of(box)) == len(found.ids) + 1
    tables = page.evaluate("""() => ['.live-example', '.live-parts'].map(part => Array.from(
        document.querySelectorAll(`[data-live=attention] ${part} .live-heat td`),
        cell => [cell.textContent, cell.lastChild.className]))""")
    assert tables[0] == tables[1] and len(tables[0]) == found.weights.numel()
    box.locator(".live-parts .live-target button").nth(1).click()
    best = int(found.weights[1].argmax())
    wait_for_status(page, "attention", "most attention to")
    assert f"weight {float(found.weights[1, best]):.3f}" in status_of(box).inner_text()
    meters = page.evaluate("""() => Array.from(document.querySelectorAll(
        '[data-live=attention] .live-parts .live-source meter'), meter => meter.value)""")
    assert meters == pytest.approx(found.weights[1].tolist(), abs=1e-5)
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert box.locator(".live-parts .live-row th").inner_text() == target_of(box)[1]


@needs_models
def test_attention_moves_word_by_word(open_page):
    page = open_page()
    box = opened_box(page, "attention")
    box.get_by_role("button", name="Next piece").click()
    wait_for_status(page, "attention", "most attention to")
    assert len(target_of(box)) == 1
    page.evaluate("""() => {
        window.lengths = [];
        const list = document.querySelector('[data-live=attention] .live-parts .live-target');
        new MutationObserver(() => window.lengths.push(list.children.length))
            .observe(list, {childList: true});
    }""")
    translated(page, box)
    lengths = page.evaluate("window.lengths")
    assert lengths[0] == 2 and set(lengths) == set(range(2, len(target_of(box)) + 1))


@needs_models
def test_translating_by_the_keyboard_and_an_example(open_page):
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, "attention")
    assert page.evaluate("document.activeElement.lang") == "de"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # the second sentence
    wait_for_status(page, "attention", "In English: ")
    assert box.get_by_label("A German sentence").input_value().startswith("Zwei Kinder")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_status(page, "attention", "Translated in")
    assert len(target_of(box)) > 5
    box.get_by_label("A German sentence").fill("Ein Hund.")
    assert target_of(box) == [] and box.get_by_label("Or take one of these").input_value() == ""


@needs_models
@pytest.mark.parametrize("kind", ["attention", "beam"])
def test_bad_input_for_the_translator(open_page, kind):
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, kind)
    field, end = box.get_by_label("A German sentence"), "Translated in"
    if kind == "beam":
        end = "Ended after"
    for text in ("", "   \n "):
        field.fill(text)
        box.get_by_role("button", name="Translate").click()
        wait_for_status(page, kind, "The text is empty.")
    lines = {
        "语言模型 🙂": "single bytes",
        "Ein Hund " * 1111: "Only the first 60 of 2222 pieces are read.",
        "x" * 10_000: "Only the first 60 of",
        "<b>&amp;</b>": end,
        "Привет, мир": "single bytes",
    }
    for text, line in lines.items():
        field.fill(text)
        box.get_by_role("button", name="Translate").click()
        wait_for_status(page, kind, end)
        assert line in status_of(box).inner_text(), text[:20]
    box.get_by_role("button", name="Translate").dblclick()
    wait_for_status(page, kind, end)
    box.get_by_role("button", name="Close").click()
    assert box.locator(".live-example").is_visible()


@needs_models
@pytest.mark.parametrize("kind", ["attention", "beam"])
def test_another_text_while_the_translator_works(open_page, kind):
    page = open_page()
    box = opened_box(page, kind)
    field = box.get_by_label("A German sentence")
    box.get_by_role("button", name="Translate").click()
    page.wait_for_timeout(300)
    field.fill("Zwei Kinder spielen.")
    page.wait_for_timeout(700)
    assert box.locator(".live-parts td").count() == 0
    box.get_by_role("button", name="Translate").click()
    page.wait_for_timeout(500)
    box.get_by_role("button", name="Stop").click()
    wait_for_status(page, kind, "Stopped after" if kind == "attention" else "Step ")
    box.get_by_role("button", name="Translate").click()  # it goes on
    box.get_by_role("button", name="Close").click()
    page.wait_for_timeout(500)
    assert box.locator(".live-example").is_visible()


@needs_models
def test_beam_search_with_its_tree(open_page):
    """Hypotheses and tree are those of the stored example; other sizes and penalties differ."""
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, "beam")
    field = box.get_by_label("A German sentence")
    assert field.input_value() == page_translation.BEAM_SENTENCE
    translated(page, box, "beam", "Ended after")
    parts = page.evaluate("""() => ['.live-example', '.live-parts'].map(part =>
        ['.live-greedy', '.live-hypotheses', '.live-drawing', '.live-tree'].map(name => document
            .querySelector(`[data-live=beam] ${part} ${name}`)
            .textContent.replace(/\\s+/g, '')))""")
    assert parts[0] == parts[1]
    shapes = page.evaluate("""() => ['.live-example', '.live-parts'].map(part =>
        Array.from(document.querySelector(`[data-live=beam] ${part} .live-drawing`)
            .querySelectorAll('circle, path, g[class]'), shape => shape.outerHTML))""")
    assert shapes[0] == shapes[1] and len(shapes[0]) > 100
    box.locator(".live-parts summary").click()
    marks = box.locator(".live-parts .live-mark").all_inner_texts()
    assert sum(mark == "ends, rank 1" for mark in marks) == 1 and "given up" in marks
    assert box.locator(".live-parts .live-tree .live-best").count() == 1
    assert box.locator(".live-parts .live-hypotheses td").count() == 25
    box.get_by_label("Beam size").select_option("2")
    assert box.locator(".live-parts .live-hypotheses td").count() == 0
    translated(page, box, "beam", "Ended after")
    assert box.locator(".live-parts .live-hypotheses td").count() == 10
    box.get_by_label("Length penalty").fill("0")
    assert box.get_by_label("Length penalty").get_attribute("aria-valuetext") == "0.0"
    box.get_by_role("button", name="Next step").click()
    wait_for_status(page, "beam", "Step 1: 2 partial hypotheses, 0 ended.")
    assert box.locator(".live-parts .live-mark", has_text="goes on").count() == 2
    translated(page, box, "beam", "Ended after")
    scores = box.locator(".live-parts .live-hypotheses td:nth-child(5)").all_inner_texts()
    log_probs = box.locator(".live-parts .live-hypotheses td:nth-child(3)").all_inner_texts()
    assert scores == log_probs


def drawn_items(page):
    """The kind, the texts and the column of each shape of the drawing."""
    return page.evaluate("""() => Array.from(
        document.querySelectorAll('[data-live=beam] .live-parts .live-drawing > g[class]'),
        shape => [shape.getAttribute('class'), ...Array.from(shape.children,
            child => child.textContent || Number(child.getAttribute('x')))])""")


@needs_models
def test_the_drawing_shows_what_each_step_did(open_page, monkeypatch):
    """Pieces and log-probabilities of the library's own search; kept, ended and given up."""
    page = open_page()
    box = opened_box(page, "beam")
    box.get_by_label("Beam size").select_option("3")
    assert box.locator(".live-parts .live-drawing").count() == 0
    model, tokenizer = page_translator(), tokenizer_of(TRANSLATOR)
    source = tokenizer.encode(page_translation.BEAM_SENTENCE)
    trace = search_traced(model, source, size=3, penalty=1.0, monkeypatch=monkeypatch)
    done = []
    for number, step in enumerate(trace, start=1):
        box.get_by_role("button", name="Next step").click()
        wait_for_status(page, "beam", "Ended after" if number == len(trace) else f"Step {number}:")
        kept = [(run_text(tokenizer, ids[-1:]), value, ids) for ids, value in step["kept"]]
        ended = [(None, value, ids) for ids, value in step["ended"]]
        done.append(sorted([*kept, *ended], key=lambda item: -item[1]))
        finished = [found[0] for found in step["finished"]]
        open_ids = [ids for ids, _ in step["beam"]]
        items = drawn_items(page)
        assert len(items) == sum(map(len, done))
        columns = sorted({item[1] for item in items})
        for column, expected in zip(columns, done, strict=True):
            shown = [item for item in items if item[1] == column]
            for (kind, _, text, value), (piece, log_prob, ids) in zip(shown, expected, strict=True):
                assert value == number_text(log_prob)
                if piece is None:
                    rank = finished.index(ids) + 1 if ids in finished else 0
                    assert text == (f"rank {rank}" if rank else "lower")
                    assert kind.startswith("live-ended" if rank else "live-given-up")
                    assert ("live-best" in kind) is (rank == 1)
                    continue
                assert text == piece
                leads = [one for one in [*open_ids, *finished] if one[: len(ids)] == ids]
                assert (kind == "live-given-up") is (not leads), (number, text)
                assert (kind == "live-best") is (bool(finished) and finished[0][: len(ids)] == ids)
                assert kind != "live-open" or ids in open_ids
    assert [item[0] for item in items].count("live-open") == 0
    assert box.get_by_role("img", name="The tree of hypotheses, drawn").count() == 1


@needs_models
def test_the_list_says_what_the_drawing_shows(open_page):
    """With the keyboard alone; the longest path of numbers is in both."""
    page = open_page(reduced_motion="reduce", width=390)
    box = opened_box(page, "beam")
    box.get_by_role("button", name="Translate").focus()
    page.keyboard.press("Enter")
    wait_for_status(page, "beam", "Ended after")
    summary = box.locator(".live-parts summary")
    assert not box.locator(".live-parts .live-tree").is_visible()
    for _ in range(4):  # the other buttons, the table, the drawing
        page.keyboard.press("Tab")
    region = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert region == "The tree of hypotheses"
    left = "document.activeElement.scrollLeft"
    assert page.evaluate(left) > 0  # it has gone to the newest step
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert summary.evaluate("node => node === document.activeElement")
    assert box.locator(".live-parts .live-tree").is_visible()
    listed = re.findall(r"−\d+\.\d\d", box.locator(".live-parts .live-tree").inner_text())
    drawn = [item[3] for item in drawn_items(page)]
    assert set(listed) <= set(drawn)
    ends = [item[3] for item in drawn_items(page) if item[2].startswith("rank")]
    assert len(ends) == 5 and set(ends) <= set(listed)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0


@needs_models
def test_a_chinese_page_translates_with_chinese_words(open_page):
    page = open_page("chinese", reduced_motion="reduce")
    box = opened_box(page, "attention")
    box.get_by_role("button", name="翻译").click()
    wait_for_status(page, "attention", "步译完")
