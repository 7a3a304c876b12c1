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
from utils.models.language_models import RNNLM

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


def test_dropout_of_the_constrained_model_is_off():
    model = RNNLM(len(TEXTS), width=8, num_layers=2, dropout=0.5).train()
    texts = [beam_search(Constrained(model, AUTOMATON), PROMPT, max_length=8) for _ in range(8)]
    assert all(text == texts[0] for text in texts)
    assert model.training


@pytest.mark.parametrize(
    "transitions, final, texts, message",
    [
        ([], [0], TEXTS, "transitions is empty"),
        ([{"a": 5}], [0], TEXTS, "state 0 leads by 'a' to 5: expected a state from 0 to 0"),
        ([{"a": -2, "b": 1}, {}], [1], TEXTS, "state 0 leads by 'a' to -2"),
        ([{"a": 0.0, "b": 1}, {}], [1], TEXTS, "state 0 leads by 'a' to 0.0"),
        ([{"a": 0}], [0, 7], TEXTS, r"final has \[7\]: expected states from 0 to 0"),
        ([{"a": 0}], [0], ["a"], "texts has 1 tokens: expected one for each, EOS included"),
    ],
)
def test_an_automaton_of_unknown_states_is_refused(transitions, final, texts, message):
    with pytest.raises(ValueError, match=message):
        TokenAutomaton(transitions, final, texts)


def test_the_automaton_has_the_tokens_of_the_model():
    with pytest.raises(ValueError, match="the model has 6 tokens, the automaton 11"):
        Constrained(make_lstm(0, 6), AUTOMATON)(PROMPT)
    model = Constrained(make_lstm(0, len(TEXTS)), AUTOMATON)
    with pytest.raises(ValueError, match=r"ids \[99\] lie outside this vocabulary of 11 tokens"):
        beam_search(model, torch.tensor([[99]]))


@pytest.mark.parametrize("search", [sample, beam_search])
def test_a_token_that_is_not_allowed_is_no_state_of_the_automaton(search):
    """DEAD, −1, would be the last row of the table: a text went on as from the last state."""
    model = Constrained(make_lstm(0, len(TEXTS)), AUTOMATON)
    with pytest.raises(ValueError, match="not allow token 3 at its place: expected prompts"):
        search(model, torch.tensor([[1, 0], [1, 3]]), max_length=5)


@pytest.mark.parametrize("character", ["ab", "", 5])
def test_a_transition_is_for_a_single_character(character):
    """Others never matched, without a word."""
    with pytest.raises(ValueError, match=f"a transition for {character!r}: expected a single"):
        TokenAutomaton([{character: 1, "a": 1}, {}], {1}, [None, None, None, "a"])


def test_what_is_no_text_or_no_collection_of_states_is_refused():
    with pytest.raises(ValueError, match="that of token 3 is 5"):
        TokenAutomaton([{"a": 1}, {}], {1}, [None, None, None, 5])
    with pytest.raises(ValueError, match="final must be a collection of states"):
        TokenAutomaton([{"a": 1}, {}], 1, [None, None, None, "a"])
