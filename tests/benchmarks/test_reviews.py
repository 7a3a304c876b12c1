"""Cross-validation: each review is tested on once, and the accuracy is that of the classifier."""

import dataclasses
from collections import Counter
from statistics import mean, stdev

import pytest
import torch

from benchmarks import reviews
from benchmarks.reviews import METHODS, NUM_FOLDS, make_folds
from tests.helpers.benchmark_runs import record_calls
from utils.data.corpora import load_reviews
from utils.data.tokenizers import WordTokenizer
from utils.models.nbsvm import NBSVM


def test_each_review_is_tested_on_once(short_corpora):
    corpus = load_reviews().all
    folds = make_folds(corpus)
    assert len(folds) == NUM_FOLDS
    assert Counter(review for fold in folds for review in fold.test) == Counter(corpus)
    num_positive = [sum(label for _, label in fold.test) for fold in folds]
    assert max(num_positive) - min(num_positive) <= 1, "as many of each label everywhere"
    for fold in folds:
        assert not set(fold.train) & set(fold.test) and len(fold.train) > 8 * len(fold.test)


def test_the_command_stores_the_accuracy_of_each_fold(run, monkeypatch):
    monkeypatch.setitem(METHODS, "CNN", dataclasses.replace(METHODS["CNN"], epochs=1))
    calls = record_calls(monkeypatch, reviews, "fit")
    content = run("reviews", "--folds", 0, 3)
    assert list(content) == ["NBSVM", "CNN"]
    for part in content.values():
        percentages = [100 * run["accuracy"] for run in part["runs"]]
        assert [run["fold"] for run in part["runs"]] == [0, 3]
        assert part["accuracy_percent"] == pytest.approx(mean(percentages))
        assert part["standard_error"] == pytest.approx(stdev(percentages) / 2**0.5)
        assert part["provenance"]["origin"] == "stand-in" and part["provenance"]["seeds"] == [0]
    assert content["CNN"]["settings"]["kernel_sizes"] == [1, 2, 3, 4]
    assert content["NBSVM"]["settings"]["interpolation"] == 0.25

    folds = make_folds(load_reviews().all)
    for i, (arguments, _) in zip((0, 1), calls, strict=True):
        fold, model = folds[content["CNN"]["runs"][i]["fold"]], arguments[0]
        tokenizer = WordTokenizer.train([text for text, _ in fold.train], min_count=2)
        classifier = NBSVM(order=2, alpha=0.5, C=1.0, interpolation=0.25, loss="logistic")
        classifier.fit(*zip(*fold.train, strict=True))
        num_right = Counter()
        for text, label in fold.test:  # one by one, without padding
            logits = model.eval()(torch.tensor([tokenizer.encode(text)]))[0]
            num_right["CNN"] += bool(logits[1] > logits[0]) == label
            num_right["NBSVM"] += bool(classifier.decision_function([text])[0] > 0) == label
        for name, number in num_right.items():
            assert content[name]["runs"][i]["accuracy"] == pytest.approx(number / len(fold.test))


def test_one_run_has_no_standard_error(run):
    content = run("reviews", "--folds", 5, "--models", "NBSVM")
    assert content["NBSVM"]["standard_error"] is None and content.keys() == {"NBSVM"}
