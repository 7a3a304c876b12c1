"""Classifiers of reviews: each fold is tested on once, labels are few, accuracies are theirs."""

import dataclasses
import json
from collections import Counter
from statistics import mean, stdev

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.reviews import __main__ as command
from benchmarks.reviews import counting, features, folds, networks
from benchmarks.reviews.counting import fit_minilm, fit_naive_bayes, run_method
from benchmarks.reviews.folds import METHODS, NUM_FOLDS, make_folds
from benchmarks.reviews.networks import NETWORKS, MeanEncoder, run_network
from benchmarks.reviews.task import Reviews
from tests.helpers.benchmark_runs import record_calls
from utils.data.corpora import load_reviews
from utils.data.tokenizers import WordTokenizer


@pytest.fixture(autouse=True)
def fixed_vectors(monkeypatch):
    """Vectors of words in place of MiniLM's, which takes seconds to load."""

    class Encoder:
        def encode(self, texts, **_):
            return [[float(word in text) for word in ("a", "good", "bad", ".")] for text in texts]

    monkeypatch.setattr(features, "_encoder", Encoder)
    monkeypatch.setattr(features, "_known", {})


@pytest.fixture
def task(short_corpora):
    networks.word_tokenizer.cache_clear()
    yield Reviews.load()
    networks.word_tokenizer.cache_clear()


def test_each_review_is_tested_on_once(short_corpora):
    corpus = load_reviews().all
    cut = make_folds(corpus)
    assert len(cut) == NUM_FOLDS
    assert Counter(review for fold in cut for review in fold.test) == Counter(corpus)
    num_positive = [sum(label for _, label in fold.test) for fold in cut]
    assert max(num_positive) - min(num_positive) <= 1, "as many of each label everywhere"
    for fold in cut:
        assert not set(fold.train) & set(fold.test) and len(fold.train) > 8 * len(fold.test)


def test_the_command_stores_the_accuracy_of_each_fold(run, monkeypatch):
    monkeypatch.setitem(METHODS, "CNN", dataclasses.replace(METHODS["CNN"], epochs=1))
    calls = record_calls(monkeypatch, folds, "fit")
    content = run("reviews", "folds", "--folds", 0, 3)
    assert list(content) == list(METHODS)
    cut = make_folds(load_reviews().all)
    for part in content.values():
        percentages = [100 * run["accuracy"] for run in part["runs"]]
        assert [run["fold"] for run in part["runs"]] == [0, 3]
        assert part["accuracy_percent"] == pytest.approx(mean(percentages))
        assert part["standard_error"] == pytest.approx(stdev(percentages) / 2**0.5)
        assert part["provenance"]["origin"] == "stand-in" and part["provenance"]["seeds"] == [0]
        for stored in part["runs"]:
            assert len(stored["right"]) == len(cut[stored["fold"]].test)
            share = stored["right"].count("1") / len(stored["right"])
            assert stored["accuracy"] == pytest.approx(share)
    assert content["CNN"]["settings"]["kernel_sizes"] == [1, 2, 3, 4]
    assert content["NBSVM"]["settings"] == {
        "name": "NBSVM",
        "constants": [1e-4, 1e-3, 0.01, 0.1],
        "num_parts": 9,
    }

    for i, (arguments, _) in zip((0, 1), calls, strict=True):
        fold, model = cut[content["CNN"]["runs"][i]["fold"]], arguments[0]
        tokenizer = WordTokenizer.train([text for text, _ in fold.train], min_count=2)
        decide = counting.fit_nbsvm(fold.train, content["NBSVM"]["runs"][i]["constant"])
        right = {"CNN": "", "NBSVM": ""}
        for text, label in fold.test:  # one by one, without padding
            logits = model.eval()(torch.tensor([tokenizer.encode(text)]))[0]
            right["CNN"] += str(int(bool(logits[1] > logits[0]) == label))
            right["NBSVM"] += str(int(bool(decide([text])[0] > 0) == label))
        for name, digits in right.items():
            assert content[name]["runs"][i]["right"] == digits


def test_one_run_has_no_standard_error(run):
    content = run("reviews", "folds", "--folds", 5, "--models", "NBSVM")
    assert content["NBSVM"]["standard_error"] is None and content.keys() == {"NBSVM"}


def test_the_constant_is_chosen_inside_the_training_part_of_a_fold(short_corpora, monkeypatch):
    shares, asked = {1.0: 0.6, 3.0: 0.8, 10.0: 0.8}, []

    def learn(examples, constant):
        def decide(texts):
            known = dict(fold.train + fold.test)
            signs = np.array([1.0 if known[text] else -1.0 for text in texts])
            signs[round(shares[constant] * len(signs)) :] *= -1
            return signs

        asked.append((examples, constant))
        return decide

    monkeypatch.setitem(folds.TUNED, "NBSVM", (learn, ()))
    fold = make_folds(load_reviews().all)[0]
    is_right, chosen = folds.TunedMethod("NBSVM", tuple(shares)).train_and_test(fold, seed=0)
    assert chosen == {"constant": 10.0}, "of equal ones the middle"
    assert [constant for _, constant in asked] == [1.0, 3.0, 10.0, 10.0]
    assert asked[-1][0] == fold.train, "in the end it learns from all nine tenths"
    assert is_right.mean() == pytest.approx(0.8, abs=0.05)
    train = asked[0][0]
    assert not Counter(train) - Counter(fold.train)
    assert len(train) == pytest.approx(len(fold.train) * 8 / 9, abs=2)
    praise = [sum(label for _, label in part) / len(part) for part in (train, fold.train)]
    assert praise[0] == pytest.approx(praise[1], abs=0.02)


def test_few_labels_are_half_of_each_kind_and_depend_on_the_seed(task):
    chosen = task.labelled(20, seed=1)
    assert sum(label for _, label in chosen) == 10 and len(set(chosen)) == 20
    assert set(chosen) <= set(task.train)
    assert chosen == task.labelled(20, seed=1) != task.labelled(20, seed=2)
    assert task.labelled(None, seed=1) == task.train


def test_naive_bayes_adds_log_ratios_to_the_odds_of_the_classes():
    examples = [("a good film", 1), ("good fun", 1), ("good", 1), ("a bad film", 0)]
    decide = fit_naive_bayes(examples, 1.0)
    # six words and three pairs… each count is raised by one; two of class 0 do not hold "good"
    names = {f for text, _ in examples for w in [text.split()] for f in w}
    names |= {" ".join(p) for t, _ in examples for p in zip(t.split(), t.split()[1:], strict=False)}
    totals = {
        c: len(names) + sum(2 * len(t.split()) - 1 for t, label in examples if label == c)
        for c in (0, 1)
    }
    expected = np.log(3 / 1) + np.log((3 + 1) / totals[1]) - np.log((0 + 1) / totals[0])
    assert decide(["good"])[0] == pytest.approx(expected)


EXAMPLES = [("a good film", 1), ("good fun", 1), ("a bad film", 0), ("bad , very bad", 0)]
NEW = ["a good day", "bad film", "good film", "nothing"]


def counts_and_labels():
    """The words and pairs of the examples, (N, F), of new texts, and the labels."""
    vectorizer = counting.NBSVM().vectorizer
    sentences, labels = zip(*EXAMPLES, strict=True)
    table = vectorizer.fit_transform(sentences).toarray()
    return table, vectorizer.transform(NEW).toarray(), list(labels)


def test_tf_idf_weighs_rare_features_more_and_gives_each_text_length_one():
    table, new, labels = counts_and_labels()
    weight = 1 + np.log((1 + len(table)) / (1 + table.sum(0)))  # (F,)
    rows, new_rows = (
        part * weight / np.maximum(np.linalg.norm(part * weight, axis=1, keepdims=True), 1e-9)
        for part in (table, new)
    )
    expected = features.fit_linear(rows, labels, C=10.0).decision_function(new_rows)
    np.testing.assert_allclose(counting.fit_tf_idf(EXAMPLES, 10.0)(NEW), expected, atol=1e-5)


def test_scaled_logistic_regression_changes_nothing_but_the_scale():
    table, new, labels = counts_and_labels()
    ratio = counting.log_count_ratio(table, labels, alpha=0.5)  # (F,)
    classifier = LogisticRegression(C=1.0, solver="liblinear", random_state=0)
    expected = classifier.fit(table * ratio, labels).decision_function(new * ratio)
    found = counting.fit_scaled_logistic(EXAMPLES, 1.0)(NEW)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_minilm_is_a_linear_classifier_of_the_vectors_of_texts():
    decide = fit_minilm([("a good film", 1), ("good .", 1), ("a bad film", 0), ("bad .", 0)], 10.0)
    first, second = decide(["a good day", "a bad day"])
    assert first > 0 > second
    assert decide(["x good day a"])[0] == pytest.approx(first), "only the vector counts"


def test_c_is_chosen_on_validation_and_the_test_measured(task, monkeypatch):
    outcomes = {0.1: (0.6, 0.9), 1.0: (0.8, 0.7), 10.0: (0.8, 1.0)}

    def fit(_examples, C):
        def decide(texts):
            share = outcomes[C][list(texts) == [text for text, _ in task.test]]
            examples = task.test if list(texts) == [t for t, _ in task.test] else task.valid
            signs = np.array([1.0 if label else -1.0 for _, label in examples])
            signs[round(share * len(signs)) :] *= -1
            return signs

        return decide

    monkeypatch.setitem(counting.METHODS, "NBSVM", (fit, tuple(outcomes)))
    figures, _ = run_method("NBSVM", task, 20, seed=0)
    assert figures["C"] == 1.0, "of equal ones the smallest"
    assert figures["validation accuracy"] == pytest.approx(80)
    assert figures["accuracy"] == pytest.approx(70)
    assert figures["right"] == "1" * 14 + "0" * 6


def test_logistic_regression_reaches_the_minimum_of_its_loss():
    examples = [("a good film", 1), ("good fun", 1), ("a bad film", 0), ("bad , very bad", 0)]
    sentences, labels = zip(*examples, strict=True)
    rows = counting.NBSVM().vectorizer.fit_transform(sentences)
    for table in (rows, rows.toarray()):
        found = features.fit_linear(table, labels, C=100.0)
        gap = found.predict_proba(table)[:, 1] - np.array(labels)
        slope = 100.0 * rows.T @ gap + found.coef_[0]
        assert np.abs(slope).max() < 1e-3 and abs(gap.sum()) < 1e-5


def test_the_mean_of_vectors_ignores_order_and_padding():
    torch.manual_seed(0)
    encoder = MeanEncoder(20, width=4)
    vector = encoder(torch.tensor([[7, 8, 9, 0], [9, 7, 8, 0], [7, 8, 8, 9]])).vector
    torch.testing.assert_close(vector[0], encoder.embedding.weight[[7, 8, 9]].mean(0))
    torch.testing.assert_close(vector[0], vector[1])
    assert not torch.allclose(vector[0], vector[2])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_measured_on_the_test_sentences(name, task, monkeypatch):
    monkeypatch.setattr(networks, "EPOCHS", 1)
    monkeypatch.setattr(networks, "NUM_VALIDATIONS", 1)
    calls = record_calls(monkeypatch, networks, "fit")
    figures, costs = run_network(NETWORKS[name], task, rate=0.01, seed=0)
    model, tokenizer = calls[-1][0][0], networks.word_tokenizer()
    digits = ""
    for text, label in task.test:
        logits = model(torch.tensor([tokenizer.encode(text)]))[0]
        digits += str(int(int(logits.argmax()) == label))
    assert figures["right"] == digits
    assert figures["accuracy"] == pytest.approx(100 * digits.count("1") / len(digits))
    assert costs["parameters"] == sum(p.numel() for p in model.parameters())


def test_the_command_writes_a_row_for_each_arm_and_seed(run, monkeypatch):
    for name, value in (("EPOCHS", 1), ("NUM_VALIDATIONS", 1)):
        monkeypatch.setattr(networks, name, value)
    monkeypatch.setattr(command, "COUNTS", (20,))
    monkeypatch.setattr("benchmarks.tuning.next_rate", lambda *_, **__: None)
    networks.word_tokenizer.cache_clear()
    content = run("reviews", "counting", "labels", "networks", "--arms", "CNN", "--seeds", 2)
    networks.word_tokenizer.cache_clear()
    rows = {(row["part"], row["arm"], row["seed"]) for row in content["rows"]}
    assert {("counting", name, 0) for name in counting.METHODS} <= rows
    for name in counting.METHODS:
        assert {("labels", f"{name}, 20 labels", seed) for seed in (0, 1)} <= rows
    assert {("networks", "CNN", seed) for seed in (0, 1)} <= rows
    assert ("networks, trials", "CNN, rate 0.005", 100) in rows
    assert json.dumps(content).count('"labels": 20') == 6
