"""Greedy search against its definition."""

import itertools
import math

import torch

from tests.helpers.decoding_models import bos, make_lstm, make_translator
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.greedy_search import greedy_search


def test_greedy_search_with_a_state_equals_reading_the_whole_prefix_again():
    model = make_lstm(1, 9)
    ids = [BOS]
    while ids[-1] != EOS and len(ids) <= 10:
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0][0, -1]
        logits[[PAD, BOS]] = -math.inf
        ids.append(int(logits.argmax()))
    expected = [token for token in ids[1:] if token != EOS]
    assert greedy_search(model, bos(), max_length=10) == [expected]


def test_rows_that_end_early_do_not_change_the_others():
    lengths = set()
    for seed in range(10):
        model = make_lstm(seed, 9)
        prompts = torch.tensor([[BOS, token] for token in range(4, 9)])
        sequences = greedy_search(model, prompts, max_length=7)
        assert sequences == [greedy_search(model, row[None], max_length=7)[0] for row in prompts]
        lengths.add(tuple(len(sequence) for sequence in sequences))
    assert any(early < late for row in lengths for early, late in itertools.pairwise(row))


def test_a_batch_is_searched_as_its_rows_alone():
    model = make_translator(38, 9, num_layers=1, factor=3)
    source = torch.randint(4, 9, (6, 5))
    row_states = [model.begin(source[i : i + 1]) for i in range(6)]
    sequences = greedy_search(model, bos(6), model.begin(source), max_length=8)
    assert sequences == [greedy_search(model, bos(), row, max_length=8)[0] for row in row_states]
    assert 1 < len({len(ids) for ids in sequences}), "some leave the batch before others"


def test_a_prompt_of_many_tokens_is_read_in_one_call():
    model, prompt = make_lstm(2, 9), torch.tensor([[BOS, 4, 5, 6], [BOS, 7, 7, 4]])
    with torch.no_grad():
        state = model(prompt[:, :-1])[1]
    expected = greedy_search(model, prompt[:, -1:], state, max_length=6)
    assert greedy_search(model, prompt, max_length=6) == expected
