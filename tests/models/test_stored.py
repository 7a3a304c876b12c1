"""Stored models: the same model comes back, and a damaged one is refused."""

import json
import math
import shutil

import pytest
import torch

from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.stored import load_stored_model, save_stored_model
from utils.models.stored_files import models_folder

NAMES = sorted(path.parent.name for path in models_folder().glob("*/model.json"))
OPTIONS = {"vocab_size": 270, "width": 16, "num_layers": 1}


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(["low lower lowest"] * 10, max_vocab_size=270)


@pytest.fixture
def folder(tokenizer, tmp_path):
    save_stored_model(
        "small", GPT(**OPTIONS), tokenizer, options=OPTIONS, facts={"steps": 0}, folder=tmp_path
    )
    return tmp_path


@pytest.mark.parametrize(
    "model, extra",
    [(GPT, {"dropout": 0.5}), (RNNLM, {"tied": True, "embedding_size": 8, "cell": "lstm"})],
)
def test_a_model_comes_back_with_its_tokenizer_and_its_facts(model, extra, tokenizer, tmp_path):
    options = OPTIONS | extra
    written = model(**options).eval()
    with torch.no_grad():
        for parameter in written.parameters():
            parameter.copy_(torch.randn_like(parameter).half().float())
    facts = {"corpus": "a text", "steps": 3}
    save_stored_model("a-b_1", written, tokenizer, options=options, facts=facts, folder=tmp_path)
    stored = load_stored_model("a-b_1", folder=tmp_path)
    assert type(stored.model) is model
    assert not stored.model.training
    assert (dict(stored.options), dict(stored.facts)) == (options, facts)
    assert stored.tokenizer.encode("lower") == tokenizer.encode("lower")
    ids = torch.randint(4, 270, (2, 9))
    torch.testing.assert_close(stored.model(ids)[0], written(ids)[0])
    assert next(stored.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("name", ["large", "../small", "", "sm\nall"])
def test_an_unknown_name_raises_with_the_names_that_exist(name, folder):
    with pytest.raises(FileNotFoundError, match=r"no stored model .*; there are small$"):
        load_stored_model(name, folder=folder)


def damage_weights(path):
    content = bytearray((path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "weights.safetensors").write_bytes(content)


def cut_description(path):
    (path / "model.json").write_text((path / "model.json").read_text()[:50])


def change_description(**changes):
    def change(path):
        description = json.loads((path / "model.json").read_text())
        del description["checksum"]  # as of a file of an earlier version
        (path / "model.json").write_text(json.dumps(description | changes))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights,
        cut_description,
        change_description(architecture="BERT"),
        change_description(options={"vocab_size": 270, "width": 32, "num_layers": 1}),
        change_description(options={"vocab_size": 270, "width": 16, "num_layers": 2}),
        change_description(options={"vocab_size": 270, "depth": 2}),
    ],
)
def test_a_damaged_model_is_refused_with_what_to_do(damage, folder):
    damage(folder / "small")
    with pytest.raises(ValueError, match=r"small is damaged .*: get the book's files again"):
        load_stored_model("small", folder=folder)


def test_a_weight_too_large_for_half_precision_and_a_bad_name_are_refused(tokenizer, tmp_path):
    model = GPT(**OPTIONS)
    arguments = {"options": OPTIONS, "facts": {}, "folder": tmp_path}
    with pytest.raises(ValueError, match="letters, digits, - and _"):
        save_stored_model("a/b", model, tokenizer, **arguments)
    torch.nn.init.constant_(next(model.parameters()), 1e5)
    with pytest.raises(ValueError, match="not finite in half precision"):
        save_stored_model("small", model, tokenizer, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_model_of_the_book_is_better_than_counting_letters(name):
    stored = load_stored_model(name)
    assert stored.facts["origin"] == "real"
    assert stored.facts["test_bits_per_character"] < 2.4
    text = "To be, or not to be, that is the question:"
    ids = torch.tensor([stored.tokenizer.encode(text)])
    with torch.no_grad():
        log_probs = stored.model(ids)[0].log_softmax(-1)
    nll = -float(log_probs[0, :-1].gather(1, ids[0, 1:, None]).sum())
    assert nll / math.log(2) / len(text) < 3


def test_a_lost_file_of_weights_is_named(folder):
    shutil.copytree(folder / "small", folder / "other")
    (folder / "other" / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors"):
        load_stored_model("other", folder=folder)
