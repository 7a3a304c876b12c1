"""What greedy search, sampling and beam search have in common."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm, make_translator
from tests.helpers.tensors import multiply_weights
from utils.data.batches import pad
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search, best_sequences
from utils.decoding.generation import check_prompt_and_state, generate, prompt_lengths
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample
from utils.decoding.token_rules import TokenRules
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts

DECODERS = [greedy_search, sample, beam_search]
every_decoder = pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__name__)


def test_pad_and_bos_are_never_generated():
    model = FixedLogits([9.0, 9.0, 0.0, 0.0, 1.0, 0.0])
    sequences = greedy_search(model, bos(3), max_length=5)
    sequences += sample(model, bos(3), max_length=5)
    hypotheses = beam_search(model, bos(), beam=BeamConfig(5), max_length=5)[0]
    sequences += [hypothesis.ids for hypothesis in hypotheses]
    assert sequences[0] == [4] * 5
    assert not {PAD, BOS} & set(itertools.chain(*sequences))


def test_a_model_that_never_ends_is_cut_off_at_max_length():
    model = FixedLogits([0.0, 0.0, -math.inf, 0.0, 1.0, 0.0])
    assert greedy_search(model, bos(2), max_length=4) == [[4] * 4] * 2
    assert [len(ids) for ids in sample(model, bos(2), max_length=4)] == [4, 4]
    hypotheses = beam_search(model, bos(), beam=BeamConfig(3), max_length=4)[0]
    assert [len(hypothesis.ids) for hypothesis in hypotheses] == [4, 4, 4]


def test_a_model_that_ends_at_once_is_called_once():
    model, calls = FixedLogits([0.0, 0.0, 50.0, 0.0, 0.0, 0.0]), []
    model.register_forward_hook(lambda *call: calls.append(call))
    assert greedy_search(model, bos(2), max_length=4) == [[], []]
    assert sample(model, bos(2), max_length=4) == [[], []]
    assert beam_search(model, bos(), beam=BeamConfig(1), max_length=4)[0][0].ids == []
    assert len(calls) == 3


def test_a_max_length_of_zero_gives_empty_texts():
    model = make_lstm(0, vocab_size=6)
    assert greedy_search(model, bos(2), max_length=0) == [[], []]
    assert sample(model, bos(2), max_length=0) == [[], []]
    (hypothesis,) = beam_search(model, bos(), max_length=0)[0]
    assert (hypothesis.ids, hypothesis.score) == ([], 0.0)


@every_decoder
def test_a_batch_without_rows_has_no_results_and_the_model_is_not_called(decode):
    def never_called(ids, state=None):
        raise AssertionError("the model must not be called")

    assert decode(never_called, torch.empty(0, 1, dtype=torch.int64)) == []


@pytest.mark.parametrize(
    "prompt, message",
    [
        (torch.empty(1, 0, dtype=torch.int64), r"shape \(B, T\) with T ≥ 1, got \(1, 0\)"),
        (torch.tensor([BOS]), r"got \(1,\); start from a column of BOS, .* a batch: ids\[None\]"),
        (torch.full((1, 1, 1), BOS), r"got \(1, 1, 1\)"),
        ([[BOS]], "a prompt is a tensor of ids .* got list"),
        (torch.tensor([[1.0]]), "ids of a prompt must be integers; got a tensor of torch.float32"),
        (torch.tensor([[True]]), "must be integers; got a tensor of torch.bool"),
        (torch.tensor([[PAD, 4], [4, 5]]), "begins with PAD or has PAD between"),
        (torch.tensor([[4, PAD, 5]]), "pad a shorter prompt only at the end"),
        (torch.tensor([[4, 5], [PAD, PAD]]), "start an empty one from BOS"),
    ],
)
@every_decoder
def test_a_prompt_of_the_wrong_shape_type_or_padding_is_refused(decode, prompt, message):
    with pytest.raises(ValueError, match=message):
        decode(make_lstm(0, vocab_size=6), prompt, max_length=3)


@every_decoder
def test_a_model_that_needs_a_state_does_not_start_without_one(decode):
    model = lstm_seq2seq(6, width=4)
    with pytest.raises(ValueError, match=r"EncoderDecoder starts from .* model.begin\(source\)"):
        decode(model, bos())
    with pytest.raises(ValueError, match=r"LSTMDecoder starts from .* model.begin\(memory\)"):
        decode(model.decoder, bos())


@every_decoder
def test_a_prompt_may_be_of_any_integer_type(decode):
    model = make_lstm(0, vocab_size=9)
    prompt = torch.tensor([[BOS, 4, 5], [BOS, 6, PAD]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = decode(model, prompt, max_length=4)
        for dtype in (torch.int32, torch.int16, torch.uint8):
            torch.manual_seed(0)
            assert decode(model, prompt.to(dtype), max_length=4) == expected


@pytest.mark.parametrize("length", [-1, 2.5, True, math.nan, None])
@every_decoder
def test_a_maximum_length_that_is_not_a_non_negative_integer_is_refused(decode, length):
    with pytest.raises(ValueError, match=f"max_length must be a non-negative .* got {length}"):
        decode(make_lstm(0, vocab_size=6), bos(), max_length=length)


@every_decoder
def test_a_minimum_above_the_maximum_is_refused(decode):
    with pytest.raises(ValueError, match="min_length is 5, above max_length, 4"):
        decode(make_lstm(0, vocab_size=6), bos(), max_length=4, rules=TokenRules(5))


@every_decoder
def test_a_state_of_another_batch_is_refused(decode):
    model = make_translator(38, 9, num_layers=1, factor=3)
    state = model.begin(torch.randint(4, 9, (2, 5)))
    for rows in (1, 3):
        with pytest.raises(ValueError, match=f"shape .* and the prompt {rows} rows: both need"):
            decode(model, bos(rows), state, max_length=3)


# ---- the loop itself ----------------------------------------------------------------------------


def test_generate_appends_what_is_chosen_until_eos_or_the_maximum():
    """The choice gets logits (B, V) and all ids (B, N); the row that ends leaves the batch."""
    seen = []

    def choose(logits, all_ids):
        seen.append((tuple(logits.shape), all_ids.tolist()))
        return torch.where(all_ids[:, -1] == 5, EOS, all_ids[:, -1] + 1)

    prompt = torch.tensor([[BOS, 4], [BOS, 6]])
    options = {"max_length": 3, "rules": TokenRules()}
    model = make_lstm(0, vocab_size=10)
    sequences = generate(model, prompt, None, choose_tokens=choose, **options)
    assert sequences == [[5], [7, 8, 9]]
    assert seen == [
        ((2, 10), [[BOS, 4], [BOS, 6]]),
        ((2, 10), [[BOS, 4, 5], [BOS, 6, 7]]),
        ((1, 10), [[BOS, 6, 7, 8]]),
    ]


def test_the_length_of_a_prompt_is_that_without_padding():
    prompt = torch.tensor([[BOS, 4, 5], [BOS, PAD, PAD], [4, 5, PAD]])
    assert prompt_lengths(prompt) == [3, 1, 2]
    assert prompt_lengths(torch.empty(0, 3, dtype=torch.int64)) == []


def test_arguments_are_checked_without_a_call_of_the_model():
    model = lstm_seq2seq(6, width=4)
    state = model.begin(torch.tensor([[4, 5], [5, 4]]))
    rules = TokenRules(min_length=2)
    check_prompt_and_state(model, bos(2), state, max_length=2, rules=rules)
    check_prompt_and_state(object(), bos(2), None, max_length=2, rules=rules)
    for arguments, max_length, message in (
        ((model, bos(2), None), 2, "starts from state = model.begin"),
        ((model, bos(3), state), 2, "and the prompt 3 rows"),
        ((model, bos(2), state), 1, "min_length is 2, above max_length, 1"),
    ):
        with pytest.raises(ValueError, match=message):
            check_prompt_and_state(*arguments, max_length=max_length, rules=rules)


# ---- logits that define no distribution ---------------------------------------------------------

WRONG_LOGITS = {
    "one is NaN": [0.0, 0.0, 0.0, 0.0, math.nan, 1.0],
    "one is \\+∞": [0.0, 0.0, 0.0, 0.0, math.inf, 1.0],
    "all but those of PAD and BOS are −∞": [0.0, 0.0, *[-math.inf] * 4],
}


@pytest.mark.parametrize("token", [PAD, BOS])
@pytest.mark.parametrize("value, reason", [(math.nan, "one is NaN"), (math.inf, r"one is \+∞")])
@pytest.mark.parametrize("decode", [*DECODERS, best_sequences])
def test_tokens_that_are_never_generated_need_a_probability_too(decode, value, reason, token):
    logits = [0.0] * 6
    logits[token] = value
    with pytest.raises(ValueError, match=f"row 0 .* define no distribution: {reason}"):
        decode(FixedLogits(logits), bos(2), max_length=3)


class SecondRowIsWrong(nn.Module):
    """A model whose second row has other logits than the first, from the third token on."""

    def __init__(self, logits):
        super().__init__()
        self.wrong = torch.tensor(logits)

    def forward(self, ids, state=None):
        tokens_read = ids.shape[1] if state is None else state[0, 0] + ids.shape[1]
        logits = torch.tensor([0.0, 0.0, -9.0, 0.0, 1.0, 0.0]).repeat(*ids.shape, 1)
        if tokens_read >= 3:
            logits[len(ids) // 2 :] = self.wrong
        return logits, torch.full((len(ids), 1), tokens_read)


@pytest.mark.parametrize("reason", WRONG_LOGITS)
@every_decoder
def test_logits_that_define_no_distribution_are_refused(decode, reason):
    model = SecondRowIsWrong(WRONG_LOGITS[reason])
    row = 5 if decode is beam_search else 1  # of five hypotheses for each prompt
    with pytest.raises(
        ValueError, match=f"logits for row {row} .* define no distribution: {reason}"
    ):
        decode(model, bos(2), max_length=5)
    assert len(decode(model, bos(2), max_length=2)) == 2, (
        "logits after the last token do not matter"
    )


# ---- prompts of different lengths ---------------------------------------------------------------

PROMPTS = [[BOS], [BOS, 4, 5, 6], [BOS, 7], [BOS, 7, 7, 4], [5, 2, 8, 8, 8, 4]]
PADDED = pad(PROMPTS, PAD)
LONG_MODELS = {
    "lstm": lambda: make_lstm(5, 9),
    "gpt": lambda: multiply_weights(
        GPT(9, width=12, num_layers=2, num_heads=2, context_length=4, zero_init=False).eval(), 4
    ),
    "n-gram": lambda: NGramLM.kneser_ney(
        NGramCounts([4, 5, 6, 7, 8, 2] * 9, order=3, vocab_size=9)
    ),
}


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("min_length, n", [(0, None), (3, 2)])
@pytest.mark.parametrize("max_length", [1, 2, 7])
@pytest.mark.parametrize("name", LONG_MODELS)
@pytest.mark.parametrize("beam_size", [None, 1, 3])
def test_prompts_of_different_lengths_are_decoded_as_each_alone(
    name, beam_size, max_length, min_length, n
):
    model = LONG_MODELS[name]()
    options = {"max_length": max_length, "rules": TokenRules(min(min_length, max_length), n)}
    if beam_size is None:
        expected = [greedy_search(model, torch.tensor([ids]), **options)[0] for ids in PROMPTS]
        assert greedy_search(model, PADDED, **options) == expected
        assert greedy_search(model, F.pad(PADDED, (0, 3), value=PAD), **options) == expected
    else:
        config = BeamConfig(beam_size)
        rows = [
            beam_search(model, torch.tensor([p]), None, beam=config, **options)[0] for p in PROMPTS
        ]
        results = beam_search(model, PADDED, None, beam=config, **options)
        assert [[h.ids for h in row] for row in results] == [[h.ids for h in row] for row in rows]
        for row, alone in zip(results, rows, strict=True):
            expected = pytest.approx([h.score for h in alone], abs=1e-5)
            assert [h.score for h in row] == expected


def test_sampling_continues_each_prompt_from_its_own_end():
    """After each token the next one is certain, so samples can be predicted."""
    table = torch.full((9, 9), -math.inf)
    for token in range(1, 9):
        table[token, {8: 4}.get(token, max(token + 1, 4))] = 0.0
    sequences = sample(lambda ids, state=None: (table[ids], state), PADDED, max_length=3)
    assert sequences == [[4, 5, 6], [7, 8, 4], [8, 4, 5], [5, 6, 7], [5, 6, 7]]


def test_each_token_of_padded_prompts_is_read_once_and_padding_never():
    model, read = make_lstm(5, 9), []
    model.register_forward_hook(lambda _, inputs, __: read.append(inputs[0].clone()))
    (*_, longest) = greedy_search(model, PADDED, max_length=7)
    assert read[0].shape == (5, 1)
    assert all(ids.shape[1] == 1 for ids in read)
    assert not any((ids == PAD).any() for ids in read)
    assert longest


def test_sampling_is_the_same_for_prompts_of_one_length_whether_padded_or_not():
    model, prompt = make_lstm(5, 9), torch.tensor([[BOS, 4], [BOS, 5], [BOS, 6]])
    one, other = (
        sample(model, ids, max_length=6, generator=torch.Generator().manual_seed(3))
        for ids in (prompt, F.pad(prompt, (0, 2), value=PAD))
    )
    assert one == other


# ---- evaluation mode ----------------------------------------------------------------------------


@every_decoder
@pytest.mark.usefixtures("seeded")
def test_dropout_is_off_during_the_search_and_the_mode_is_restored(decode):
    model = multiply_weights(RNNLM(9, width=16, dropout=0.5), 3)
    options = {"max_length": 8}
    if decode is sample:
        options |= {"sampling": SamplingConfig(temperature=1e-6)}
    expected = decode(model.eval(), bos(3), **options)
    for _ in range(3):
        assert decode(model.train(), bos(3), **options) == expected
        assert model.training
        assert model.dropout.training


@pytest.mark.parametrize("size", [1, 2])
@every_decoder
def test_a_vocabulary_without_eos_is_refused(decode, size):
    with pytest.raises(ValueError, match="no EOS"):
        decode(FixedLogits([0.0] * size), bos())


def test_the_smallest_vocabulary_that_can_end_gives_empty_texts():
    model = FixedLogits([0.0] * 3)
    for decode in (greedy_search, sample):
        assert decode(model, bos(2)) == [[], []]
    (only,) = beam_search(model, bos(), beam=BeamConfig(4))[0]
    assert only.ids == []
    assert only.log_prob == 0.0


def test_an_id_that_int64_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=f"too large for int64: the largest is {2**63 + 5}"):
        greedy_search(make_lstm(0, 9), torch.tensor([[2**63 + 5]], dtype=torch.uint64))


@pytest.mark.parametrize("token", [6, -1])
@every_decoder
def test_an_id_outside_the_vocabulary_is_refused(decode, token):
    message = rf"ids \[{token}\] lie outside this vocabulary of 6 tokens"
    translator = lstm_seq2seq(6, width=4)
    for model, state in (
        (make_lstm(0, vocab_size=6), None),
        (translator, translator.begin(torch.tensor([[4]]))),
    ):
        with pytest.raises(ValueError, match=message):
            decode(model, torch.tensor([[BOS, token]]), state, max_length=2)
