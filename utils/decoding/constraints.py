"""Constrained decoding: a finite automaton says which tokens may come next.

Derived in section 6.2. Willard and Louf 2023 put the tokens of a language model on the transitions
of an automaton over characters. `Constrained` is a language model by the contract, so that every
search and `sample` serve it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import nn

from utils.contract import NextTokenModel
from utils.data.vocabulary import EOS
from utils.states import register_state

DEAD = -1
"""The state after a token that is not allowed."""


class TokenAutomaton:
    """An automaton over characters that reads tokens.

    Parameters
    ----------
    transitions
        For each state the next state after a character. State 0 is the first.
    final
        The states in which a text may end.
    texts
        The text of each token of the vocabulary; None for tokens that are never allowed. That of
        EOS is not read: it is allowed in final states.

    Attributes
    ----------
    next_state
        The state after each token in each state, (states, V) int64; DEAD where the token is not
        allowed, or no text from there ends in a final state.

    Raises
    ------
    ValueError
        If there is no state, a number is not that of a state, a transition is not for a single
        character, `texts` lacks EOS or has what is not a text, or no text ends in a final state.

    Examples
    --------
    >>> from utils.decoding.constraints import TokenAutomaton
    >>> automaton = TokenAutomaton([{"a": 0, "b": 1}, {}], {1}, [None, None, None, "a", "aab", "c"])
    >>> automaton.next_state.tolist()
    [[-1, -1, -1, 0, 1, -1], [-1, -1, 1, -1, -1, -1]]
    """

    def __init__(
        self,
        transitions: Sequence[Mapping[str, int]],
        final: Collection[int],
        texts: Sequence[str | None],
    ) -> None:
        _check_states(transitions, final)
        if len(texts) <= EOS:
            raise ValueError(f"texts has {len(texts)} tokens: expected one for each, EOS included")
        for token, text in enumerate(texts):
            if not isinstance(text, str | None):
                raise ValueError(f"texts must be str or None; that of token {token} is {text!r}")
        table = [
            [self._read(transitions, state, text) for text in texts]
            for state in range(len(transitions))
        ]
        for state in range(len(transitions)):
            table[state][EOS] = state if state in final else DEAD
        self.next_state = torch.tensor(table)  # (states, V)
        alive = torch.tensor([state in final for state in range(len(transitions))])
        for _ in transitions:  # a state is alive if some token leads to one that is
            leads = (self.next_state != DEAD) & alive[self.next_state]  # (states, V)
            alive = alive | leads.any(-1)
        if not alive[0]:
            raise ValueError("no text of these tokens ends in a final state")
        self.next_state[~alive[self.next_state]] = DEAD

    @staticmethod
    def _read(transitions: Sequence[Mapping[str, int]], state: int, text: str | None) -> int:
        """Return the state after a text, or DEAD."""
        if not text:
            return DEAD
        for character in text:
            state = transitions[state].get(character, DEAD)
            if state == DEAD:
                return DEAD
        return state


def _check_states(transitions: Sequence[Mapping[str, int]], final: Collection[int]) -> None:
    """Raise ValueError unless all numbers are those of states."""
    states = range(len(transitions))
    if not states:
        raise ValueError("transitions is empty: expected those of state 0 at least")
    for state, following in enumerate(transitions):
        for character, number in following.items():
            if not isinstance(character, str) or len(character) != 1:
                raise ValueError(
                    f"state {state} has a transition for {character!r}: expected a single "
                    "character, as texts are read one by one"
                )
            if not isinstance(number, Integral) or number not in states:
                raise ValueError(
                    f"state {state} leads by {character!r} to {number}: expected a state from 0 to "
                    f"{states[-1]}"
                )
    if not isinstance(final, Collection):
        raise ValueError(f"final must be a collection of states, such as {{1}}; got {final!r}")
    if unknown := [state for state in final if state not in states]:
        raise ValueError(f"final has {unknown}: expected states from 0 to {states[-1]}")


@register_state
class ConstrainedState(NamedTuple):
    """The state of a `Constrained` model.

    Parameters
    ----------
    model_state
        The state of the model that it constrains.
    automaton_state
        The state of the automaton in each row, (B,) int64.
    """

    model_state: Any
    automaton_state: torch.Tensor


class Constrained(nn.Module):
    """A language model whose next tokens an automaton allows; the logits of others are −∞.

    It is a torch module as its model may be one, so that evaluation mode reaches that. The first
    call reads the prompt, which the automaton does not; the texts of a batch have prompts
    of one length.

    Source: ``eq-constrained`` (section 6.2).

    Parameters
    ----------
    model
        The language model to constrain.
    automaton
        What is allowed.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.constraints import Constrained, TokenAutomaton
    >>> from utils.models.gpt import GPT
    >>> automaton = TokenAutomaton([{"a": 0, "b": 1}, {}], {1}, [None, None, None, "a", "b"])
    >>> logits, state = Constrained(GPT(vocab_size=5), automaton)(torch.tensor([[3, 3]]))
    >>> logits[0, -1].isfinite().tolist()
    [False, False, False, True, True]
    """

    def __init__(self, model: NextTokenModel[Any], automaton: TokenAutomaton) -> None:
        super().__init__()
        self.model, self.automaton = model, automaton

    @property
    def body(self) -> NextTokenModel[Any]:
        """The model, by the name under which `vocab_size_of` looks for its embedding."""
        return self.model

    def forward(
        self, ids: torch.Tensor, state: ConstrainedState | None = None
    ) -> tuple[torch.Tensor, ConstrainedState]:
        """Compute the logits of the next token, and the states after `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T): the prompt in the first call.
        state
            The state after the tokens before them.

        Returns
        -------
        logits : torch.Tensor
            Logits, (B, T, V), in which a token that is not allowed has −∞. Those within
            the prompt are the model's.
        state : ConstrainedState
            The state after `ids`.

        Raises
        ------
        ValueError
            If the model has another number of tokens than the automaton, or one of `ids` after the
            prompt is not allowed: the longer prompts of a batch reach the automaton, too.
        """
        table = self.automaton.next_state.to(ids.device)  # (states, V)
        model_state = None if state is None else state.model_state
        logits, model_state = self.model(ids, model_state)  # (B, T, V)
        if logits.shape[-1] != table.shape[1]:
            raise ValueError(
                f"the model has {logits.shape[-1]} tokens, the automaton {table.shape[1]}: "
                "expected a text for each token of the model's vocabulary"
            )
        logits = logits.clone()
        if state is None:
            current = ids.new_zeros(len(ids))  # (B,)
            positions = [(ids.shape[1] - 1, current)]
        else:
            current, positions = state.automaton_state, []
            for t in range(ids.shape[1]):
                current = table[current, ids[:, t]]
                _check_alive(current, ids[:, t])
                positions.append((t, current))
        for t, reached in positions:
            logits[:, t] = logits[:, t].masked_fill(table[reached] == DEAD, -math.inf)
        return logits, ConstrainedState(model_state, current)


def _check_alive(states: torch.Tensor, tokens: torch.Tensor) -> None:
    """Raise ValueError if the state of a row (B,) after its token is DEAD, no row of the table."""
    if (states == DEAD).any():
        raise ValueError(
            f"the automaton does not allow token {int(tokens[states == DEAD][0])} at its place: "
            "expected prompts of one length, and after them tokens that it allows"
        )
