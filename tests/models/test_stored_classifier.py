"""The stored classifiers: the same model comes back, and a damaged one is refused."""

import json

import pytest
import torch

from utils.data.corpora import load_reviews
from utils.data.tokenizers import WordTokenizer
from utils.models.classifiers import predict_logits
from utils.models.stored_classifier import (
    CLASSIFIER_FILE,
    build_classifier,
    load_stored_classifier,
    save_stored_classifier,
)
from utils.models.stored_files import models_folder

OPTIONS = {"vocab_size": 9, "encoder": "cnn", "width": 6, "num_filters": 4}
NAMES = sorted(path.parent.name for path in models_folder().glob(f"*/{CLASSIFIER_FILE}"))


@pytest.fixture(scope="module")
def tokenizer():
    return WordTokenizer.train("a good film , bad")


@pytest.mark.parametrize("encoder", ["cnn", "gru"])
def test_a_classifier_comes_back_with_its_tokenizer_and_its_facts(encoder, tokenizer, tmp_path):
    options = OPTIONS | {"encoder": encoder}
    written = build_classifier(**options).eval()
    with torch.no_grad():
        for parameter in written.parameters():
            parameter.copy_(torch.randn_like(parameter).half().float())
    facts = {"corpus": "reviews", "steps": 3}
    where = {"options": options, "facts": facts, "folder": tmp_path}
    save_stored_classifier("a-b_1", written, tokenizer, **where)
    stored = load_stored_classifier("a-b_1", folder=tmp_path)
    assert (dict(stored.options), dict(stored.facts)) == (options, facts)
    assert not stored.model.training
    ids = torch.randint(4, 9, (2, 5))
    torch.testing.assert_close(stored.model(ids), written(ids))
    assert stored.tokenizer.encode("a bad film!") == tokenizer.encode("a bad film!")


def test_what_is_unknown_or_damaged_is_refused(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="encoder"):
        build_classifier(9, encoder="rnn")
    model = build_classifier(**OPTIONS)
    save_stored_classifier("a", model, tokenizer, options=OPTIONS, facts={}, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no stored classifier 'b'; there are a$"):
        load_stored_classifier("b", folder=tmp_path)
    path = tmp_path / "a" / CLASSIFIER_FILE
    description = json.loads(path.read_text())
    del description["checksum"]  # as of a file of an earlier version
    path.write_text(json.dumps(description | {"options": OPTIONS | {"encoder": "gru"}}))
    with pytest.raises(ValueError, match=r"classifier in .* is damaged .*weights are those of"):
        load_stored_classifier("a", folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_classifiers_of_the_book_judge_as_their_facts_say(name):
    stored, corpus = load_stored_classifier(name), load_reviews()
    assert stored.facts["origin"] == "real" and stored.facts["test_accuracy"] > 70
    ids = [stored.tokenizer.encode(text) for text in ("a good film", "a dull, bad film")]
    logits = predict_logits(stored.model, ids)
    assert logits.argmax(1).tolist() == [1, 0]
    if corpus.origin == "real":
        ids = [stored.tokenizer.encode(text) for text, _ in corpus.test]
        labels = torch.tensor([label for _, label in corpus.test])
        found = 100 * float((predict_logits(stored.model, ids).argmax(1) == labels).double().mean())
        assert found == pytest.approx(stored.facts["test_accuracy"], abs=0.2)


@pytest.mark.parametrize("name", ["dropout", "gru_dropout"])
def test_both_dropouts_are_checked_with_each_encoder(name):
    for encoder in ("cnn", "gru"):
        with pytest.raises(ValueError, match=f"{name} must be a number at least 0 and below 1"):
            build_classifier(9, encoder=encoder, **{name: "0.1"})
