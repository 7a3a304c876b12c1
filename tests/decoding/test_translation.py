"""Decoding a list of sources: in their order, each as if it were alone."""

from functools import partial

import pytest
import torch

from tests.helpers.decoding_models import bos, make_translator
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import BOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.greedy_search import greedy_search
from utils.decoding.token_rules import TokenRules
from utils.decoding.translation import decode_sources, translate
from utils.models.gpt import GPT

SOURCES = [[4, 5, 6], [7], [8, 4], [6, 6, 6], [9, 10], [5], [11, 4, 7], [4, 4]]


@pytest.fixture
def model():
    return make_translator(7, 12, factor=5)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
@pytest.mark.parametrize("beam", [None, BeamConfig(3)], ids=["greedy", "beam"])
def test_sources_are_decoded_in_their_order_as_each_alone(model, batch_size, beam):
    sizes = []
    search = partial(
        greedy_search if beam is None else partial(beam_search, beam=beam), max_length=6
    )

    def recorded_search(model, prompt, state):
        sizes.append(len(prompt))
        assert prompt.tolist() == [[BOS]] * len(prompt)
        return search(model, prompt, state)

    outputs = decode_sources(model, SOURCES, recorded_search, batch_size=batch_size)
    assert max(sizes) == min(batch_size, 3)
    assert sum(sizes) == len(SOURCES)
    for source, output in zip(SOURCES, outputs, strict=True):
        (alone,) = search(model, bos(), model.begin(torch.tensor([source])))
        if beam is None:
            assert output == alone
        else:
            assert [h.ids for h in output] == [h.ids for h in alone]
            assert [h.score for h in output] == pytest.approx([h.score for h in alone], abs=1e-9)
    ids = outputs if beam is None else [hypotheses[0].ids for hypotheses in outputs]
    assert len(set(map(tuple, ids))) > 4, "the outputs differ, so their order can be seen"
    assert decode_sources(model, [], search) == []


def test_an_empty_source_is_refused(model):
    with pytest.raises(ValueError, match="source 1 has no tokens"):
        decode_sources(model, [[4], []], greedy_search)


@pytest.mark.parametrize(
    "beam",
    [None, BeamConfig(4), BeamConfig(4, length_penalty=0.0, token_bonus=9.0, patience=3)],
    ids=["greedy", "beam", "options"],
)
def test_translations_are_the_best_sequences_as_text(beam):
    tokenizer = WordTokenizer.train("a b c d e f g h")
    model = make_translator(7, len(tokenizer), factor=5)
    texts, encode, sizes = [tokenizer.decode(source) for source in SOURCES], model.begin, []
    model.begin = lambda source: (sizes.append(len(source)), encode(source))[1]
    translations = translate(model, texts, tokenizer, beam=beam, max_length=5, batch_size=2)
    assert max(sizes) == 2
    expected = []
    for source in SOURCES:
        state = model.begin(torch.tensor([source]))
        if beam is None:
            (ids,) = greedy_search(model, bos(), state, max_length=5)
        else:
            ids = beam_search(model, bos(), state, beam=beam, max_length=5)[0][0].ids
        expected.append(tokenizer.decode(ids))
    assert translations == expected
    assert len(set(translations)) > 4


@pytest.mark.parametrize("beam", [None, BeamConfig(3)], ids=["greedy", "beam"])
def test_translations_have_the_rules_of_the_search(beam):
    tokenizer = WordTokenizer.train("a b c d e f g h")
    model = make_translator(7, len(tokenizer), factor=5)
    texts = [tokenizer.decode(source) for source in SOURCES]
    options = {"beam": beam, "max_length": 6}
    ruled = translate(model, texts, tokenizer, **options, rules=TokenRules(6, 1))
    for text in ruled:
        assert len(set(text.split())) == 6
    free = translate(model, texts, tokenizer, **options)
    assert any(len(set(text.split())) < 6 for text in free)


def test_sources_are_encoded_and_decoded_without_dropout_and_the_mode_is_restored():
    model = make_translator(7, 12, factor=5, dropout=0.5)
    search = partial(greedy_search, max_length=6)
    expected = decode_sources(model, SOURCES, search)
    for _ in range(3):
        assert decode_sources(model.train(), SOURCES, search) == expected
        assert model.training
        assert model.encoder.dropout.training


@pytest.mark.parametrize(
    "source, message",
    [
        ([4, 12], r"ids \[12\] lie outside this vocabulary of 12 tokens"),
        ([4, -1], "the ids of source 1 count from 0; got -1"),
        ([4, 5.0], "the ids of source 1 must be integers; got 5.0"),
    ],
)
def test_a_source_with_an_id_outside_the_vocabulary_is_refused(model, source, message):
    with pytest.raises(ValueError, match=message):
        decode_sources(model, [[4], source], greedy_search)


@pytest.mark.parametrize(
    "texts, message",
    [
        ("a b", "give lists of texts, not one text"),
        ([["a"]], "item 0 is a list"),
        (None, "give li"),
    ],
)
def test_what_is_not_a_list_of_texts_is_not_translated(model, texts, message):
    with pytest.raises(ValueError, match=message):
        translate(model, texts, WordTokenizer.train("a b"))


def test_a_language_model_does_not_translate():
    model = GPT(9, width=8, num_layers=1, num_heads=2)
    with pytest.raises(ValueError, match="GPT is not an encoder–decoder: it has no begin"):
        decode_sources(model, [[4, 5]], greedy_search)
    with pytest.raises(ValueError, match="GPT is not an encoder–decoder: it has no begin"):
        translate(model, ["a"], WordTokenizer.train("a b"))
