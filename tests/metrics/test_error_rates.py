"""Word and character error rates: the edits that turn transcripts into their references."""

import pytest

from utils.metrics.error_rates import character_errors, word_errors

every_measure = pytest.mark.parametrize("measure", [word_errors, character_errors])


def test_word_errors_count_the_edits_of_all_texts():
    errors = word_errors(["the cat sat", "a b c", ""], ["the cat sat down", "a x c", "one"])
    counts = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
    assert counts == (1, 2, 0, 8)
    assert errors.rate == pytest.approx(3 / 8)


def test_an_error_rate_can_exceed_one():
    assert word_errors(["a b c"], ["a"]).rate == 2.0


def test_character_errors_count_characters():
    assert character_errors(["abd"], ["abc"]).rate == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "hypotheses, references, message",
    [
        (["a"], ["a", "b"], "one hypothesis; got 1 hypotheses"),
        (["a"], [" "], "at least one word"),
        ([], [], "at least one reference"),
    ],
)
@every_measure
def test_references_that_are_missing_or_empty_are_refused(measure, hypotheses, references, message):
    with pytest.raises(ValueError, match=message):
        measure(hypotheses, references)


@pytest.mark.parametrize("hypotheses, references", [("abc", "abd"), (["abc"], "a"), ("a", ["abc"])])
@every_measure
def test_a_text_instead_of_a_list_of_texts_is_refused(measure, hypotheses, references):
    with pytest.raises(ValueError, match="give lists of texts"):
        measure(hypotheses, references)
