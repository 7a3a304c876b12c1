"""The benchmark of spoken digits: its error rates are those of the recognizers that it trains."""

import jiwer
import pytest

from benchmarks.speech import lengths
from benchmarks.speech.task import digit_error_rate
from tests.helpers.benchmark_runs import record_calls
from utils.speech.digits import DIGIT_TOKENIZER


def error_rate(answers, texts):
    """The word error rate by another implementation."""
    hypotheses = [" ".join(DIGIT_TOKENIZER.decode(ids)) for ids in answers]
    return jiwer.wer([" ".join(text) for text in texts], hypotheses)


def test_the_error_rate_counts_edits_of_digits():
    answers = [DIGIT_TOKENIZER.encode(text) for text in ("1234", "77", "")]
    texts = ["134", "78", "5"]
    assert digit_error_rate(answers, texts) == pytest.approx(3 / 6)
    assert digit_error_rate(answers, texts) == pytest.approx(error_rate(answers, texts))


def test_longer_strings(run, monkeypatch):
    monkeypatch.setattr(lengths, "LENGTHS", (3, 5))
    monkeypatch.setattr(lengths, "STRINGS_PER_LENGTH", 2)
    decodings = record_calls(monkeypatch, lengths, "digit_error_rate")
    part = run("speech", "lengths", "--steps", 1)["lengths"]
    outputs = [(result["recognizer"], result["output"]) for result in part["runs"]]
    assert outputs == [
        ("joint, location", "CTC"),
        ("joint, location", "attention"),
        ("joint, content", "CTC"),
        ("joint, content", "attention"),
        ("attention alone", "attention"),
    ]
    for i, result in enumerate(part["runs"]):
        by_hand = [error_rate(*arguments) for arguments, _ in decodings[2 * i : 2 * i + 2]]
        assert result["rates"] == pytest.approx(by_hand)
        assert part["means"][": ".join(outputs[i])] == result["rates"], "the mean of one seed"
        assert ("alignment" in result) == (i == 1)
    alignment = part["runs"][1]["alignment"]
    assert len(alignment["said"]) == 5
    assert len(alignment["weights"]) == len(alignment["written"]) + 1
    for row in alignment["weights"]:
        assert sum(row) == pytest.approx(1, abs=0.0005 * len(row))
    assert part["lengths"] == [3, 5] and part["provenance"]["seeds"] == [0]
