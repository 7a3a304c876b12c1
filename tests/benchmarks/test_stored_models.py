"""The benchmark stored_models: a short run trains, stores and measures; it goes on when stopped."""

import pytest

from benchmarks import result_files, stored_models
from utils.models.stored import load_stored_model


@pytest.fixture
def small(monkeypatch, tmp_path):
    recipe = stored_models.RECIPES["lstm-pieces"]
    options = recipe.options | {"width": 16, "embedding_size": 8}
    small = stored_models.replace(recipe, options=options)
    monkeypatch.setattr(stored_models, "RECIPES", {"lstm-pieces": small})
    monkeypatch.setattr(stored_models, "CONTEXT_LENGTH", 8)
    monkeypatch.setattr(stored_models, "VOCAB_SIZE", 270)
    monkeypatch.setattr(result_files, "ROOT", tmp_path)
    return tmp_path / "models"


def test_a_short_run_stores_a_model_with_measured_facts(small, capsys):
    stored_models.main(["lstm-pieces", "--steps", "2", "--out", str(small)])
    facts = load_stored_model("lstm-pieces", folder=small).facts
    assert facts["steps"] == 2
    assert facts["tokens"] == 2 * stored_models.BATCH_SIZE * 8
    assert 2 < facts["test_bits_per_character"] < 12
    assert facts["provenance"]["command"].endswith("lstm-pieces --steps 2")
    capsys.readouterr()
    stored_models.main(["lstm-pieces", "--steps", "2", "--out", str(small)])
    assert "Validation" not in capsys.readouterr().out  # it was read from its checkpoint


def test_an_unknown_name_ends_with_the_known_ones(small, capsys):
    with pytest.raises(SystemExit) as end:
        stored_models.main(["gpt"])
    assert end.value.code == 2
    assert "unknown model 'gpt': expected lstm-pieces" in capsys.readouterr().err
