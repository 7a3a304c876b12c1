"""Constrained decoding: the automaton's tokens, and the texts of a constrained model."""

import itertools
import math
import re

import pytest
import torch

from tests.helpers.decoding_models import make_lstm
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.constraints import DEAD, Constrained, TokenAutomaton
from utils.decoding.sampling import sample

TEXTS = [None, None, None, None, "a", "b", "ab", "ba", "aab", "", "c"]
# (a|b)*, an even number of a, then c once
TRANSITIONS = [{"a": 1, "b": 0, "c": 2}, {"a": 0, "b": 1}, {}]
AUTOMATON = TokenAutomaton(TRANSITIONS, {2}, TEXTS)
PATTERN = re.compile(r"(b|ab*a)*c")
PROMPT = torch.tensor([[1, 4]])


def texts_of(rows):
    return ["".join(TEXTS[i] for i in row) for row in rows]


def test_next_states_by_characters():
    for state, (token, text) in itertools.product(range(3), enumerate(TEXTS)):
        expected = state
        for character in text or "-":
            expected = TRANSITIONS[expected].get(character, DEAD) if expected != DEAD else DEAD
        if token == 2:  # EOS
            expected = state if state == 2 else DEAD
        assert AUTOMATON.next_state[state, token] == expected


def test_a_state_without_a_way_to_the_end_is_avoided():
    automaton = TokenAutomaton([{"a": 1, "b": 2}, {}, {"a": 2}], {1}, TEXTS)
    assert automaton.next_state[0].tolist() == [DEAD] * 4 + [1] + [DEAD] * 6
    with pytest.raises(ValueError, match="ends in a final state"):
        TokenAutomaton([{"x": 1}, {}], {1}, TEXTS)


def test_all_sampled_texts_have_the_form():
    model = Constrained(make_lstm(0, len(TEXTS)), AUTOMATON)
    generator = torch.Generator().manual_seed(0)
    rows = sample(model, PROMPT.expand(200, -1), max_length=60, generator=generator)
    assert all(PATTERN.fullmatch(text) for text in texts_of(rows))
    assert len(set(texts_of(rows))) > 20


def test_the_logits_of_allowed_tokens_are_the_models():
    model = make_lstm(0, len(TEXTS))
    constrained = Constrained(model, AUTOMATON)
    plain, _ = model(torch.tensor([[1, 4, 6, 4]]))
    first, state = constrained(PROMPT)
    later, _ = constrained(torch.tensor([[6, 4]]), state)
    for logits, expected, reached in ((first[0, 1], plain[0, 1], 0), (later[0, 1], plain[0, 3], 0)):
        allowed = AUTOMATON.next_state[reached] != DEAD
        assert torch.allclose(logits[allowed], expected[allowed])
        assert (logits[~allowed] == -math.inf).all()
    assert later[0, 0, 5].isfinite() and not later[0, 0, 10].isfinite()  # after "ab" no c


def test_beam_search_obeys_the_automaton():
    model = Constrained(make_lstm(1, len(TEXTS)), AUTOMATON)
    beam = BeamConfig(4, length_penalty=0.0)
    for hypothesis in beam_search(model, PROMPT, None, beam=beam, max_length=6)[0]:
        state = 0
        for token in hypothesis.ids:
            state = AUTOMATON.next_state[state, token]
            assert state != DEAD
