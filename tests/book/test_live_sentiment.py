"""The box that judges a sentence: words, verdicts and shares, compared with the library."""

import json

import pytest
import torch

from tests.helpers.live_pages import (
    drawn_anew,
    make_strings,
    needs_models,
    opened_box,
    scripts_of,
    status_of,
    wait_for_status,
)
from tools.live.architectures import convert_classifier, convert_tokenizer
from tools.live.catalogue import CLASSIFIERS, page_classifier, tokenizer_of
from tools.live.model_files import LiveModel
from tools.live.quantization import quantized_copy
from tools.live.sentiment import SENTENCE, judge
from utils.data.tokenizers import WordTokenizer
from utils.models.classifiers import Classifier, LanguageModelEncoder
from utils.models.gpt import GPT
from utils.models.stored_classifier import build_classifier

WORDS = "It's a well-made film; isn't it? Ça va, 42 étoiles, co-op’s naïve_x.\n"


@pytest.fixture(scope="module")
def words():
    return WordTokenizer.train(WORDS)


def test_words_are_split_as_in_the_library(engine, words):
    texts = [WORDS, *make_strings()]
    live = LiveModel(kind="tokenizer", tokenizer=convert_tokenizer(words))
    program = f"""{json.dumps(texts)}.map(text => {{
        const {{ tokenizer }} = LiveModels.build("m");
        return [tokenizer.words(text), tokenizer.encode(text)];
    }})"""
    for text, (found, ids) in zip(texts, engine.evaluate(scripts_of(m=live), program), strict=True):
        assert found == words.split(text) and ids == words.encode(text), text


@pytest.mark.parametrize("encoder", ["cnn", "gru"])
@pytest.mark.parametrize("length", [1, 2, 12])
def test_scores_and_shares_equal_those_of_torch(engine, words, encoder, length):
    """A text shorter than a filter, too."""
    options = {"encoder": encoder, "width": 12, "num_filters": 5}
    model = drawn_anew(build_classifier(len(words), **options), std=0.4)
    ids = words.encode(WORDS)[:length]
    live = convert_classifier(model, words, {})
    found = engine.evaluate(scripts_of(m=live), f"LiveModels.build('m').judge({ids})")
    expected = judge(quantized_copy(model), ids)
    assert found["score"] == pytest.approx(expected.score, abs=1e-4)
    assert found["shares"] == pytest.approx(expected.shares.tolist(), abs=1e-4)
    assert abs(judge(model, ids).score - expected.score) > 1e-5, "weights are not rounded"


def test_the_unknown_word_in_a_place_is_no_other_change(words):
    model = build_classifier(len(words), encoder="gru", width=12).eval()
    ids = words.encode(WORDS)[:6]
    with torch.inference_mode():
        whole, without = model(torch.tensor([ids, [*ids[:2], 3, *ids[3:]]])).double().diff()[:, 0]
    assert judge(model, ids).shares[2].item() == pytest.approx(float(whole - without), abs=1e-6)


def test_another_classifier_is_refused(words):
    encoder = LanguageModelEncoder(GPT(len(words), width=8, num_layers=1))
    with pytest.raises(ValueError, match="convolutions or one GRU"):
        convert_classifier(Classifier(encoder, input_size=8), words, {})


def shown(box, part):
    return [
        [line.split() for line in item.all_inner_texts()]
        for item in box.locator(f"{part} .live-column").all()
    ]


@needs_models
def test_the_box_judges_as_the_stored_example_and_the_library(open_page):
    page = open_page()
    box = opened_box(page, "sentiment")
    assert box.locator("textarea").input_value() == SENTENCE
    columns = page.evaluate("""() => ['.live-example', '.live-parts'].map(part => Array.from(
        document.querySelectorAll(`[data-live=sentiment] ${part} .live-column li`),
        item => [item.className, ...Array.from(item.children, child => child.textContent)]))""")
    assert columns[0] == columns[1]
    for name in CLASSIFIERS:
        score, shares = judge(page_classifier(name), tokenizer_of(name).encode(SENTENCE))
        p = float(torch.tensor(score).sigmoid())
        assert f"{name.split('-')[1].upper()}: praise {p:.3f}." in status_of(box).inner_text()
        assert len(columns[0]) == len(CLASSIFIERS) * len(shares)


@needs_models
def test_bad_input_for_the_classifiers(open_page):
    page = open_page()
    box = opened_box(page, "sentiment")
    field = box.locator("textarea")
    field.fill("")
    wait_for_status(page, "sentiment", "The text is empty.")
    assert box.locator(".live-parts .live-column").count() == 0
    field.fill("A DULL film")
    wait_for_status(page, "sentiment", "CNN: praise 0.")
    first = float(status_of(box).inner_text().split("praise ")[1][:5])
    assert first < 0.5  # capital letters are read as small ones
    field.fill("语言 模型 🙂 zzzz")
    wait_for_status(page, "sentiment", "Not in the training text, read as unknown: 语言 模型")
    field.fill("good " * 3000)
    wait_for_status(page, "sentiment", "Only the first 60 of 3000 words")
    assert box.locator(".live-parts .live-column").first.locator("li").count() == 60
