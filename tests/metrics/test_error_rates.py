"""Word and character error rates: the edits that turn references into their transcripts."""

import pytest

from utils.metrics.error_rates import character_errors, word_errors

every_measure = pytest.mark.parametrize("measure", [word_errors, character_errors])


def test_word_errors_count_the_edits_of_all_texts():
    errors = word_errors(["the cat sat", "a b c", ""], ["the cat sat down", "a x c", "one"])
    counts = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
    assert counts == (1, 2, 0, 8)
    assert errors.rate == pytest.approx(3 / 8)


@every_measure
def test_the_edits_turn_the_reference_into_the_hypothesis(measure):
    missing, added = measure(["a c"], ["a b c"]), measure(["a b c"], ["a c"])
    edits = (missing.substitutions, missing.deletions, missing.insertions)
    opposite = (added.substitutions, added.insertions, added.deletions)
    num_units = 1 if measure is word_errors else 2  # "b", or its character and a space
    assert edits == opposite == (0, num_units, 0)


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


@pytest.mark.parametrize(
    "hypotheses, references",
    [([["a", "b"]], ["a b"]), (["a b"], [["a", "b"]]), ([None], ["a"]), (["a"], [b"a"])],
)
@every_measure
def test_an_item_that_is_not_a_text_is_refused(measure, hypotheses, references):
    with pytest.raises(ValueError, match="must be texts, each a str; item 0 is a "):
        measure(hypotheses, references)


@pytest.mark.parametrize("hypotheses, references", [(None, ["a"]), (["a"], 3)])
@every_measure
def test_what_is_not_a_list_of_texts_is_refused(measure, hypotheses, references):
    with pytest.raises(ValueError, match="give lists of texts"):
        measure(hypotheses, references)


@every_measure
def test_texts_may_come_from_a_generator(measure):
    hypotheses, references = ["a b", "c"], ["a x", "c"]
    assert measure(iter(hypotheses), iter(references)) == measure(hypotheses, references)


def test_words_are_separated_by_any_white_space():
    errors = word_errors(["a\tb\n c  d ", "e f"], ["a b c d", "\te\r\nf"])
    assert (errors.rate, errors.reference_length) == (0, 6)


def test_spaces_inside_a_text_are_characters_and_those_at_its_ends_are_not():
    errors = character_errors([" a b\n"], ["a b"])
    assert (errors.rate, errors.reference_length) == (0, 3)
    assert character_errors(["ab"], ["a b"]).deletions == 1
