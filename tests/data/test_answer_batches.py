"""Batches of prompts with answers: shifted labels, prompts and padding left out."""

import pytest
import torch

from utils.data.answer_batches import answer_batch
from utils.data.batches import IGNORE_INDEX
from utils.data.vocabulary import EOS, PAD


def test_labels_are_shifted_and_only_answers_count():
    prompts, answers = [[1, 7, 8, 9], [1, 7]], [[5, EOS], [6, 5, 6, EOS]]
    batch = answer_batch(prompts, answers)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        is_answer = batch.targets[row] != IGNORE_INDEX
        assert batch.targets[row][is_answer].tolist() == answer
        first = int(is_answer.nonzero()[0])
        assert batch.inputs[row, : first + 1].tolist() == prompt, "the prompt's end predicts"
        text = prompt + answer
        assert batch.inputs[row, : len(text) - 1].tolist() == text[:-1]
        assert (batch.inputs[row, len(text) - 1 :] == PAD).all()
        assert not is_answer[len(text) - 1 :].any()


def test_a_prompt_of_one_token_predicts_from_the_first_input():
    batch = answer_batch([[1]], [[5, EOS]])
    assert torch.equal(batch.targets, torch.tensor([[5, EOS]]))


@pytest.mark.parametrize(
    "prompts, answers", [([[]], [[5]]), ([[1]], [[]]), ([[1]], [[5], [6]]), ([], [])]
)
def test_what_has_no_answer_is_refused(prompts, answers):
    with pytest.raises(ValueError, match=r"token each|argument 2|no sequences"):
        answer_batch(prompts, answers)
