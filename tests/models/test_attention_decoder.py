"""The recurrent decoder with attention: its alignments, and the weights that location needs."""

import pytest
import torch

from tests.helpers.tensors import multiply_weights, randn, same
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.attention_scores import ATTENTION_SCORES, AttentionScore
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.recurrent import run_batch_first
from utils.models.recurrent_encoders import RNNEncoder
from utils.states import Memory

V, D = 11, 6
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]])
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


def make_model(score: AttentionScore) -> EncoderDecoder[AttentionDecoderState]:
    torch.manual_seed(0)
    decoder = AttentionDecoder(V, width=D, attention_score=score)
    model = EncoderDecoder(RNNEncoder(V, width=D), decoder).double().eval()
    return multiply_weights(model, 2)


@pytest.mark.parametrize("score", ATTENTION_SCORES)
def test_alignments_are_distributions_over_tokens(score):
    model = make_model(score)
    weights = model.decoder.attention_weights(IDS, model.begin(SOURCE))  # (B, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, dtype=torch.float64))
    assert (weights[SOURCE[:, None].expand(-1, 3, -1) == PAD] == 0).all()
    _, state = model(IDS[:, :2], model.begin(SOURCE))
    torch.testing.assert_close(model.decoder.attention_weights(IDS[:, 2:], state), weights[:, 2:])


@pytest.mark.parametrize("score", ATTENTION_SCORES)
def test_logits_equal_the_decoders_formula(score):
    """Queries, weights, contexts, the layers above, and the output, from the model's own parts."""
    model = make_model(score)
    decoder, memory = model.decoder, model.encoder(SOURCE)
    state = decoder.begin(memory)
    words = decoder.embedding.weight[IDS] * D**0.5
    queries, _ = run_batch_first(
        decoder.query_rnn, words, decoder.initial_query_state(memory.vector)
    )
    contexts = decoder.attention_weights(IDS, state) @ memory.states  # (B, T, D)
    inputs = torch.cat([queries, contexts], -1)
    x, _ = run_batch_first(decoder.output_rnn, inputs, decoder.initial_output_state(memory.vector))
    hidden = torch.cat([x, contexts], -1) @ decoder.output_projection.weight.T  # (B, T, E)
    expected = hidden @ decoder.embedding.weight.T + decoder.output.bias
    assert same(decoder(IDS, state)[0], expected)


def test_weights_are_the_softmax_of_the_scores_of_tokens():
    model = make_model("scaled")
    decoder, state = model.decoder, model.begin(SOURCE)
    queries, _ = run_batch_first(decoder.query_rnn, decoder.embedding(IDS), state.query_state)
    scores = decoder.attention_score(queries, decoder.attention_score.key_projection(state.states))
    for i, length in enumerate((4, 3, 2)):
        weights = decoder.attention_weights(IDS, state)[i]
        assert same(weights[:, :length], scores[i, :, :length].softmax(-1))


def test_location_weights_depend_on_those_of_the_step_before():
    """The weights by loops: at the first step after zeros, at the second after the first's."""
    model = make_model("location")
    score, state = model.decoder.attention_score, model.begin(SOURCE)
    weights = model.decoder.attention_weights(IDS[:, :2], state)  # (B, 2, S)
    queries, _ = run_batch_first(
        model.decoder.query_rnn, model.decoder.embedding(IDS[:, :2]), state.query_state
    )
    filters, radius = score.convolution.weight[:, 0], score.convolution.padding[0]
    for b, length in enumerate((4, 3, 2)):
        for step, previous in ((0, torch.zeros(4, dtype=torch.float64)), (1, weights[b, 0])):
            scores = []
            for s in range(length):
                features = sum(filters[:, r - s + radius] * previous[r] for r in range(4))
                hidden = score.query_projection.weight @ queries[b, step] + score.key_projection(
                    state.states[b, s]
                )
                hidden = torch.tanh(hidden + score.location_projection.weight @ features)
                scores.append(score.score_projection.weight[0] @ hidden)
            expected = torch.stack(scores).softmax(0)
            torch.testing.assert_close(weights[b, step, :length], expected)
            assert not weights[b, step, length:].any()


def test_beam_search_continues_each_hypothesis_with_its_own_previous_weights():
    model = make_model("location")
    results = beam_search(model, IDS[:, :1], model.begin(SOURCE), beam=BeamConfig(3), max_length=4)
    for i, hypotheses in enumerate(results):
        for hypothesis in hypotheses:
            # an answer of four tokens was cut off, a shorter one ended in EOS
            ids = torch.tensor([[BOS, *hypothesis.ids, EOS]])[:, :5]
            logits, _ = model(ids[:, :-1], model.begin(SOURCE[i : i + 1]))
            logits[..., [PAD, BOS]] = float("-inf")
            log_prob = logits.log_softmax(-1).gather(2, ids[:, 1:, None]).sum().item()
            assert log_prob == pytest.approx(hypothesis.log_prob, abs=1e-9)


@pytest.mark.parametrize("score", ATTENTION_SCORES)
def test_only_location_needs_previous_weights(score):
    model = make_model(score)
    _, state = model(IDS, model.begin(SOURCE))
    needs_weights = score == "location"
    assert (state.previous_weights is not None) == needs_weights
    names = [name for name, _ in model.named_parameters()]
    assert any("convolution" in name or "location" in name for name in names) == needs_weights
    if needs_weights:
        expected = model.decoder.attention_weights(IDS, model.begin(SOURCE))[:, -1]
        assert same(state.previous_weights, expected)


def test_the_first_state_comes_from_the_memory():
    decoder = make_model("location").decoder
    states, vector = randn(2, 4, D), randn(2, D)
    is_token = torch.tensor([[True, True, True, False], [True, False, False, False]])
    state = decoder.begin(Memory(states, is_token, vector))
    assert state.states is states and state.is_token is is_token
    assert same(state.keys, decoder.attention_score.key_projection(states))
    assert same(state.query_state, decoder.initial_query_state(vector))
    assert same(state.output_state, decoder.initial_output_state(vector))
    assert state.previous_weights.shape == (2, 4) and not state.previous_weights.any()


def test_dropout_acts_in_training_only_and_never_on_alignments():
    torch.manual_seed(0)
    decoder = AttentionDecoder(V, width=D, num_layers=2, dropout=0.5)
    model = EncoderDecoder(RNNEncoder(V, width=D), decoder)
    state = model.begin(SOURCE)
    assert not torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])
    assert torch.equal(decoder.attention_weights(IDS, state), decoder.attention_weights(IDS, state))
    model.eval()
    assert torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="choose from additive, location, multiplicative, scaled"):
        AttentionDecoder(V, width=D, attention_score="cosine")
    with pytest.raises(ValueError, match="choose from rnn, gru, lstm"):
        AttentionDecoder(V, width=D, cell="elman")


def test_alignments_need_ids_and_a_state_as_a_call_does():
    model = make_model("additive")
    state = model.begin(SOURCE)
    with pytest.raises(ValueError, match=r"a batch \(B, T\); got the shape \(3,\)"):
        model.decoder.attention_weights(IDS[0], state)
    with pytest.raises(ValueError, match="this is not a state of this AttentionDecoder"):
        model.decoder.attention_weights(IDS[:2], state)
