"""The stored translator: the same model comes back, and a damaged one is refused."""

import json
import shutil

import pytest
import torch

from utils.data.tokenizers import BPETokenizer
from utils.data.vocabulary import BOS
from utils.decoding.translation import translate
from utils.models.stored_files import models_folder
from utils.models.stored_translator import (
    TRANSLATOR_FILE,
    build_translator,
    load_stored_translator,
    save_stored_translator,
)

OPTIONS = {"vocab_size": 270, "width": 8}
NAMES = sorted(path.parent.name for path in models_folder().glob(f"*/{TRANSLATOR_FILE}"))


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(["low lower lowest"] * 10, max_vocab_size=270)


@pytest.fixture
def folder(tokenizer, tmp_path):
    model = build_translator(**OPTIONS)
    save_stored_translator(
        "small", model, tokenizer, options=OPTIONS, facts={"steps": 0}, folder=tmp_path
    )
    return tmp_path


@pytest.mark.parametrize(
    "extra", [{}, {"cell": "lstm", "attention_score": "scaled", "dropout": 0.5}]
)
def test_a_translator_comes_back_with_its_tokenizer_and_its_facts(extra, tokenizer, tmp_path):
    options = OPTIONS | extra
    written = build_translator(**options).eval()
    with torch.no_grad():
        for parameter in written.parameters():
            parameter.copy_(torch.randn_like(parameter).half().float())
    facts = {"corpus": "pairs", "steps": 3}
    where = {"options": options, "facts": facts, "folder": tmp_path}
    save_stored_translator("a-b_1", written, tokenizer, **where)
    stored = load_stored_translator("a-b_1", folder=tmp_path)
    assert (dict(stored.options), dict(stored.facts)) == (options, facts)
    assert stored.model.encoder.embedding is stored.model.decoder.embedding
    assert not stored.model.training
    source, ids = torch.randint(4, 270, (2, 5)), torch.tensor([[BOS, 9], [BOS, 4]])
    expected, _ = written(ids, written.begin(source))
    actual, _ = stored.model(ids, stored.model.begin(source))
    torch.testing.assert_close(actual, expected)
    assert stored.tokenizer.encode("lower") == tokenizer.encode("lower")


@pytest.mark.parametrize("name", ["large", "../small", "", "sm\nall"])
def test_an_unknown_name_raises_with_the_names_that_exist(name, folder):
    with pytest.raises(FileNotFoundError, match=r"no stored translator .*; there are small$"):
        load_stored_translator(name, folder=folder)


def damage_weights(path):
    content = bytearray((path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "weights.safetensors").write_bytes(content)


def change_description(**changes):
    def change(path):
        description = json.loads((path / TRANSLATOR_FILE).read_text())
        (path / TRANSLATOR_FILE).write_text(json.dumps(description | changes))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights,
        lambda path: (path / TRANSLATOR_FILE).write_text("{"),
        change_description(options={"vocab_size": 270, "width": 10}),
        change_description(options={"vocab_size": 270, "cell": "lstm", "width": 8}),
        change_description(options={"depth": 2}),
    ],
)
def test_a_damaged_translator_is_refused_with_what_to_do(damage, folder):
    damage(folder / "small")
    with pytest.raises(ValueError, match=r"small is damaged .*: get the book's files again"):
        load_stored_translator("small", folder=folder)


def test_a_lost_file_of_weights_is_named(folder):
    shutil.copytree(folder / "small", folder / "other")
    (folder / "other" / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors"):
        load_stored_translator("other", folder=folder)


def test_a_weight_too_large_for_half_precision_and_a_bad_name_are_refused(tokenizer, tmp_path):
    model, arguments = build_translator(**OPTIONS), {"options": OPTIONS, "facts": {}}
    with pytest.raises(ValueError, match="letters, digits, - and _"):
        save_stored_translator("a/b", model, tokenizer, folder=tmp_path, **arguments)
    torch.nn.init.constant_(next(model.parameters()), 1e5)
    with pytest.raises(ValueError, match="not finite in half precision"):
        save_stored_translator("small", model, tokenizer, folder=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_translator_of_the_book_translates(name):
    stored = load_stored_translator(name)
    assert stored.facts["origin"] == "real"
    assert stored.facts["test_bleu_greedy"] > 35
    assert stored.facts["test_bleu_beam"] > stored.facts["test_bleu_greedy"]
    sources = ["Ein Hund rennt durch den Schnee.", "Zwei Kinder spielen am Strand."]
    answers = translate(stored.model, sources, stored.tokenizer)
    assert "dog" in answers[0] and "snow" in answers[0]
    assert answers[1].startswith("Two ") and "beach" in answers[1]
