"""Word and character error rates count what must be changed."""

import pytest

from utils.metrics.error_rates import character_errors, word_errors


def test_error_rates_count_what_must_change():
    errors = word_errors(["the cat sat", "a b c", ""], ["the cat sat down", "a x c", "one"])
    counts = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
    assert counts == (1, 2, 0, 8)
    assert errors.rate == pytest.approx(3 / 8)
    assert word_errors(["a b c"], ["a"]).rate == 2.0
    assert character_errors(["abd"], ["abc"]).rate == pytest.approx(1 / 3)


@pytest.mark.parametrize("texts", [(["a"], ["a", "b"]), (["a"], [" "]), ([], [])])
def test_references_that_are_missing_or_empty_are_refused(texts):
    with pytest.raises(ValueError, match="reference"):
        word_errors(*texts)


@pytest.mark.parametrize("measure", [word_errors, character_errors])
def test_a_text_is_no_list_of_texts(measure):
    for texts in [("abc", "abd"), (["abc"], "a"), ("a", ["abc"])]:
        with pytest.raises(ValueError, match="give lists of texts"):
            measure(*texts)
