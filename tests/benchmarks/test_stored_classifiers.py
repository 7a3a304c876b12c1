"""The benchmark stored_classifiers: a short run trains, stores and measures."""

import pytest

from benchmarks import stored_classifiers
from benchmarks.reviews.task import Reviews
from utils.models.stored_classifier import load_stored_classifier


def test_a_short_run_stores_classifiers_with_measured_facts(monkeypatch, tmp_path):
    whole = Reviews.load()
    few = Reviews(whole.train[:120], whole.valid[:40], whole.test[:40], whole.origin)
    monkeypatch.setattr(stored_classifiers.Reviews, "load", lambda: few)
    stored_classifiers.main(["--epochs", "1", "--out", str(tmp_path)])
    for name, encoder in stored_classifiers.NAMES.items():
        stored = load_stored_classifier(name, folder=tmp_path)
        facts = stored.facts
        assert stored.options["encoder"] == encoder
        losses = facts["valid_loss_of_rates"]
        assert len(losses) == 3 and facts["valid_loss"] == min(losses.values())
        assert losses[f"{facts['learning_rate']:g}"] == facts["valid_loss"]
        assert 0 <= facts["test_accuracy"] <= 100 and facts["steps"] > 1
        found = stored_classifiers.accuracy(stored.model, few.test)
        assert found == pytest.approx(facts["test_accuracy"])
        assert facts["provenance"]["command"].endswith("--epochs 1")
