"""The box of the heads: weights, and what a GPT loses without a head, compared with the library."""

import pytest
import torch

from tests.helpers.live_pages import (
    TEXT,
    box_of,
    drawn_anew,
    needs_models,
    opened_box,
    scripts_of,
    status_of,
    wait_for_status,
)
from tools.live import heads
from tools.live.architectures import convert_gpt
from tools.live.catalogue import page_model, tokenizer_of
from tools.live.heads import HEADS_TEXT, MODEL, read_text
from tools.live.quantization import quantized_copy
from utils.models.gpt import GPT

READ_WITHOUT = """((name, ids, without) => {
    const model = LiveModels.build(name), weights = [], rows = [];
    let state = model.start();
    for (const id of ids) {
        const trace = [];
        const isOut = (layer, head) => layer === without[0] && head === without[1];
        const step = model.step(id, state, { trace, isOut });
        rows.push(Array.from(step.logits));
        weights.push(trace.map(layer => layer.map(head => Array.from(head))));
        state = step.state;
    }
    return [weights, rows];
})"""


@pytest.fixture(scope="module")
def tiny(tokenizers):
    """A GPT with random weights, and twelve tokens."""
    tokenizer = tokenizers["bpe"]
    model = GPT(len(tokenizer), width=24, num_layers=2, num_heads=3, context_length=16)
    return drawn_anew(model, std=0.3), tokenizer, tokenizer.encode(TEXT)[:12]


@pytest.mark.parametrize("without", [None, (0, 1), (1, 2)])
def test_weights_and_losses_equal_those_of_torch(engine, tiny, without):
    model, tokenizer, ids = tiny
    live = convert_gpt(model, tokenizer, {})
    head = list(without or (-1, -1))
    weights, rows = engine.evaluate(scripts_of(m=live), f"{READ_WITHOUT}('m', {ids}, {head})")
    expected = read_text(quantized_copy(model), ids, without)
    for t, layers in enumerate(weights):
        found = torch.tensor(layers)  # (L, H, t + 1)
        assert float((found - expected.weights[:, :, t, : t + 1]).abs().max()) < 1e-5
    log_probs = torch.tensor(rows, dtype=torch.float64)[:-1].log_softmax(-1)
    found = log_probs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    assert float((found - expected.log_probs).abs().max()) < 1e-4


def test_leaving_a_head_out_is_setting_its_rows_of_the_output_matrix_to_zero(tiny):
    model, _, ids = tiny
    whole, without = read_text(model, ids), read_text(model, ids, (1, 2))
    assert abs(whole.bits - without.bits) > 1e-3
    with torch.inference_mode():
        logits, _ = model(torch.tensor([ids]))
        plain = logits[0, :-1].double().log_softmax(-1)[torch.arange(len(ids) - 1), ids[1:]]
        torch.testing.assert_close(whole.log_probs, plain)
        layer = model.layers[1].attention
        saved = layer.output_projection.weight.clone()
        layer.output_projection.weight[:, 16:24] = 0
        zeroed = read_text(model, ids)
        layer.output_projection.weight.copy_(saved)
    torch.testing.assert_close(zeroed.log_probs, without.log_probs)
    torch.testing.assert_close(whole.weights.sum(-1), torch.ones(2, 3, len(ids)))


def read_box(page, box):
    box.get_by_role("button", name="Read the text").click()
    wait_for_status(page, "heads", "Most costly")
    return status_of(box).inner_text()


@needs_models
def test_the_box_shows_what_the_stored_example_has(open_page):
    page = open_page(reduced_motion="reduce")
    box = opened_box(page, "heads")
    assert box.locator("textarea").input_value() == HEADS_TEXT
    ids = tokenizer_of(MODEL).encode(HEADS_TEXT)
    whole = read_text(page_model(MODEL), ids)
    loss = f"{whole.bits:.2f} bits for each after the first."
    assert f"{len(ids)} pieces, {loss}" in read_box(page, box)
    shown = page.evaluate("""() => ['.live-example', '.live-parts'].map(part => Array.from(
        document.querySelectorAll(`[data-live=heads] ${part} td`), cell => cell.textContent))""")
    assert shown[0] == shown[1] and len(shown[0]) > 16 + len(ids)
    chosen = page.evaluate("""() => [
        document.querySelector('[data-live=heads] .live-chosen').textContent,
        document.querySelector('[data-live=heads] [aria-pressed=true]').textContent]""")
    assert chosen[0] == chosen[1]


@needs_models
def test_another_head_and_the_pieces_that_need_it(open_page):
    page = open_page()
    box = opened_box(page, "heads")
    read_box(page, box)
    box.locator(".live-parts .live-grid button").nth(8).click()
    wait_for_status(page, "heads", "Layer 3, head 1: without it")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    model, ids = page_model(MODEL), tokenizer_of(MODEL).encode(HEADS_TEXT)
    whole, without = read_text(model, ids), read_text(model, ids, (2, 0))
    worst = int((whole.log_probs - without.log_probs).argmax())
    p, q = (float(read.log_probs[worst].exp()) for read in (whole, without))
    first = box.locator(".live-parts .live-distribution li").first.inner_text()
    assert f"p {p:.3f} becomes {q:.3f}" in first
    caption = box.locator(".live-parts .live-heat caption").inner_text()
    assert caption == f"Layer 3, head 1: {heads.HEAT_CAPTION}"


@needs_models
def test_bad_input_for_the_heads(open_page):
    page = open_page()
    box = opened_box(page, "heads")
    field, button = box.locator("textarea"), box.get_by_role("button", name="Read the text")
    field.fill("")
    button.click()
    wait_for_status(page, "heads", "The text is empty.")
    field.fill("the")
    button.click()
    wait_for_status(page, "heads", "two pieces or more")
    field.fill("语言模型 🙂 " * 2000)
    assert "Only the last 40 of" in read_box(page, box)
    field.fill("To be, or not to be")  # what was shown belonged to another text
    assert box.locator(".live-parts td").count() == 0
    button.dblclick()
    wait_for_status(page, "heads", "Most costly")
    button.click()
    box.get_by_role("button", name="Stop").click()
    field.fill("Speak, speak.")
    assert "Most costly" in read_box(page, box)
    assert page.locator(".live-parts .live-grid button").count() == 16
    box.get_by_role("button", name="Close").click()
    assert box_of(page, "heads").locator(".live-example").is_visible()
