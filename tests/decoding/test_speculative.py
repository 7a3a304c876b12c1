"""Speculative decoding: the distribution of the text is the target's, and tokens are counted."""

import itertools
from collections import Counter

import pytest
import torch

from tests.helpers.decoding_models import FixedLogits
from tests.helpers.tensors import multiply_weights
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig
from utils.decoding.speculative import acceptance, residual, speculative_sample
from utils.models.gpt import GPT
from utils.models.gpt_rewind import rewind_gpt

PROMPT = torch.tensor([[4, 5, 6]])


def gpt(seed, layers=2):
    """A random GPT with sharp distributions and without EOS, in float64."""
    torch.manual_seed(seed)
    sizes = {"width": 16, "num_layers": layers, "num_heads": 2, "context_length": 48}
    return multiply_weights(GPT(8, zero_init=False, **sizes).double().eval(), 6)


def same_state(state, _count):
    """Rewind a model without memory."""
    return state


def write(target, draft, **options):
    generator = torch.Generator().manual_seed(0)
    return speculative_sample(
        target, draft, PROMPT, rewind=rewind_gpt, generator=generator, **options
    )


def test_accepted_and_replaced_tokens_have_the_targets_distribution():
    """One proposal, enumerated: q · acceptance + the probability of a rejection · residual."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        p, q = torch.randn(2, 7, generator=generator, dtype=torch.float64).softmax(-1)
        accepted = q * acceptance(p, q)
        assert torch.allclose(accepted + (1 - accepted.sum()) * residual(p, q), p)


def test_equal_distributions_accept_all_and_have_a_residual():
    p = torch.tensor([0.5, 0.25, 0.25, 0.0])
    assert acceptance(p, p).tolist() == [1.0] * 4
    assert torch.equal(residual(p, p), p)


@pytest.mark.parametrize("draft_length", [1, 3, 5])
def test_the_target_as_its_own_draft_accepts_all(draft_length):
    model = gpt(0)
    text = write(model, model, draft_length=draft_length, max_length=13)
    assert text.accepted == text.proposed and len(text.ids) == 13
    rounds = -(-12 // (draft_length + 1))
    assert text.target_calls == 1 + rounds


@pytest.mark.parametrize("draft_length", [1, 4])
def test_states_are_rewound_to_the_accepted_text(draft_length):
    """With the best token alone, the text is that of greedy search, whatever the draft proposes."""
    best, lengths, rejected = SamplingConfig(top_k=1), [], 0
    for seed in range(0, 12, 2):
        target, draft = gpt(seed), gpt(seed + 1, layers=1)
        text = write(target, draft, draft_length=draft_length, max_length=12, sampling=best)
        expected = greedy_search(target, PROMPT, max_length=12)[0]  # ends at EOS
        assert text.ids[: len(expected)] == expected
        lengths.append(len(expected))
        rejected += text.proposed - text.accepted
    assert max(lengths) == 12 and rejected > 5


class Reader:
    """A model with the same logits after any text, whose state is the text that it has read."""

    def __init__(self, logits, log):
        self.logits, self.log = torch.tensor(logits), log

    def __call__(self, ids, state=None):
        state = ids if state is None else torch.cat([state, ids], 1)
        self.log.append((self, state[0].tolist()))
        return self.logits.expand(*ids.shape, -1), state


@pytest.mark.parametrize("draft_length", [1, 4])
def test_the_draft_reads_what_the_target_reads_and_nothing_that_was_rejected(draft_length):
    log = []
    target = Reader([-9.0, -9.0, 0.0, 1.0, 2.0, 0.5], log)
    draft = Reader([-9.0, -9.0, 2.0, -1.0, 0.0, 1.0], log)
    text = speculative_sample(
        target,
        draft,
        torch.tensor([[3, 4]]),
        rewind=lambda state, count: state[:, : state.shape[1] - count],
        draft_length=draft_length,
        max_length=30,
        generator=torch.Generator().manual_seed(0),
    )
    assert 0 < text.accepted < text.proposed
    by_draft, written = [], [3, 4, *text.ids]
    for model, read in log:
        if model is draft:
            by_draft.append(read)
            continue
        assert all(read[: len(earlier)] == earlier for earlier in by_draft)
        if by_draft:  # the first of a round is the text before its proposals
            assert written[: len(by_draft[0])] == by_draft[0]
        by_draft = []


def test_the_texts_have_the_targets_distribution():
    logits = [-9.0, -9.0, 0.0, 1.0, 2.0, 0.5]
    target, draft = FixedLogits(logits), FixedLogits([-9.0, -9.0, 2.0, -1.0, 0.0, 1.0])
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(
        tuple(
            speculative_sample(
                target,
                draft,
                torch.tensor([[3]]),
                rewind=same_state,
                draft_length=2,
                max_length=3,
                generator=generator,
            ).ids
        )
        for _ in range(1500)
    )
    p = torch.tensor(logits).double()
    p[:2] = -torch.inf
    p = p.softmax(-1)
    for text in itertools.product(range(2, 6), repeat=3):
        expected = float(p[list(text)].prod())
        assert abs(drawn[text] / 1500 - expected) < 5 * (expected / 1500) ** 0.5 + 1e-3


def test_what_the_counts_mean():
    target, draft = gpt(0), gpt(1, layers=1)
    text = write(target, draft, draft_length=3, max_length=15)
    assert len(text.ids) == 15 == text.accepted + text.target_calls
    assert text.proposed <= 3 * (text.target_calls - 1)


@pytest.mark.parametrize("prompt", [torch.zeros(2, 3), torch.zeros(1, 0), torch.zeros(3)])
def test_a_prompt_is_one_text(prompt):
    with pytest.raises(ValueError, match="one text"):
        speculative_sample(gpt(0), gpt(1), prompt.long(), rewind=rewind_gpt)


def test_a_window_that_has_slid_is_refused():
    with pytest.raises(ValueError, match="has slid"):
        write(gpt(0), gpt(1), max_length=60)


def test_padding_of_the_prompt_is_not_read():
    texts = [
        speculative_sample(
            gpt(4),
            gpt(1),
            prompt,
            rewind=rewind_gpt,
            max_length=8,
            sampling=SamplingConfig(top_k=1),
        ).ids
        for prompt in (PROMPT, torch.tensor([[4, 5, 6, 0, 0, 0]]))
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "prompt, message",
    [
        ([[4]], "one text, .* got list"),
        (torch.tensor([[99]]), r"ids \[99\] lie outside this vocabulary of 8 tokens"),
        (torch.tensor([[4, 0, 5]]), "PAD between its tokens"),
        (torch.tensor([[4.0]]), "must be integers"),
    ],
)
def test_a_prompt_that_the_models_cannot_read_is_refused(prompt, message):
    with pytest.raises(ValueError, match=message):
        speculative_sample(gpt(0), gpt(1), prompt, rewind=rewind_gpt)


def test_both_models_have_one_vocabulary():
    with pytest.raises(ValueError, match="the target has 8 tokens and the draft model 12"):
        write(gpt(0), GPT(12, width=16, num_layers=1, num_heads=2))
    draft = FixedLogits([0.0] * 12)  # without an embedding, whose size could be compared first
    with pytest.raises(ValueError, match="the target has 8 tokens and the draft model 12"):
        write(gpt(0), draft)


@pytest.mark.parametrize("function", [acceptance, residual])
def test_distributions_have_one_shape(function):
    p = torch.tensor([0.5, 0.5])
    for q in (p[None], torch.tensor([1, 0])):
        with pytest.raises(ValueError, match="p and q must be floating-point numbers of one shape"):
            function(p, q)
