"""The benchmark stored_translator: a short run trains, stores and measures, and can be repeated."""

from dataclasses import replace

import pytest

from benchmarks import result_files, stored_translator
from utils.data.corpora import load_pairs
from utils.models.stored_translator import load_stored_translator


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A narrow model, few sentences."""

    def load_few(*args, **options):
        corpus = load_pairs(*args, **options)
        parts = {"train": corpus.train[:200], "valid": corpus.valid[:5], "test": corpus.test[:5]}
        return replace(corpus, **parts)

    monkeypatch.setattr(stored_translator, "load_pairs", load_few)
    monkeypatch.setattr(stored_translator, "VOCAB_SIZE", 300)
    monkeypatch.setattr(stored_translator, "WIDTH", 8)
    monkeypatch.setattr(result_files, "ROOT", tmp_path)
    return tmp_path / "models"


def test_a_short_run_stores_a_translator_with_measured_facts(small, capsys):
    stored_translator.main(["--steps", "2", "1", "--out", str(small)])
    stored = load_stored_translator(stored_translator.NAME, folder=small)
    facts = stored.facts
    assert facts["steps"] == 3 and facts["seconds"] >= 0
    assert 2 < facts["valid_loss"] < 7 and 2 < facts["test_loss"] < 7
    assert 0 <= facts["test_bleu_beam"] <= 100 and "tok:13a" in facts["signature"]
    assert facts["provenance"]["command"].endswith("stored_translator --steps 2 1")
    assert "Validation" in capsys.readouterr().out
    stored_translator.main(["--steps", "2", "1", "--out", str(small)])
    assert "Validation" not in capsys.readouterr().out  # it was read from its checkpoint


def test_a_stored_translator_is_measured_anew_without_training(small, capsys):
    stored_translator.main(["--steps", "1", "1", "--out", str(small)])
    before = load_stored_translator(stored_translator.NAME, folder=small).facts
    capsys.readouterr()
    stored_translator.main(["--measure", "--out", str(small)])
    after = load_stored_translator(stored_translator.NAME, folder=small).facts
    assert "Validation" not in capsys.readouterr().out
    assert after["measurement"]["command"].endswith("--measure")
    assert {key: after[key] for key in before} == before
