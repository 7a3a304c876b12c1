"""Encoders and decoders: mistakes, shared words, alignments. Their contract: test_contract.py."""

import pytest
import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.decoding.search import BeamConfig, beam_search
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder
from utils.models.decoders import CNNDecoder, RNNDecoder
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.encoders import CNNEncoder, FixedVectorEncoder, RNNEncoder
from utils.models.layers import GatedConvolution
from utils.models.scores import SCORES
from utils.models.transformer import TransformerDecoder, TransformerEncoder

V, D = 11, 6
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]])
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


@pytest.mark.parametrize("score", SCORES)
def test_alignments_are_distributions_over_tokens_and_make_the_answer(score):
    torch.manual_seed(0)
    model = (
        EncoderDecoder(RNNEncoder(V, width=D), AttentionDecoder(V, width=D, score=score))
        .double()
        .eval()
    )
    weights = model.decoder.weights(IDS, model.encode(SOURCE))  # (B, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, dtype=torch.float64))
    assert (weights[SOURCE[:, None].expand(-1, 3, -1) == PAD] == 0).all()
    # the same through a state that has already been used
    _, state = model(IDS[:, :2], model.encode(SOURCE))
    torch.testing.assert_close(model.decoder.weights(IDS[:, 2:], state), weights[:, 2:])


def test_scores_are_their_formulas():
    torch.manual_seed(0)
    query, places = torch.randn(2, 3, D), torch.randn(2, 4, D)
    additive = AttentionDecoder(V, width=D, score="additive").score
    general = AttentionDecoder(V, width=D, score="multiplicative").score
    scaled = AttentionDecoder(V, width=D, score="scaled").score
    for b, t, s in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        q, k = query[b, t], places[b, s]
        hidden = torch.tanh(additive.query.weight @ q + additive.key(k))
        found = additive(query, additive.key(places))[b, t, s]
        torch.testing.assert_close(found, additive.weigh.weight[0] @ hidden)
        found = general(query, general.key(places))[b, t, s]
        torch.testing.assert_close(found, q @ general.key.weight @ k)
        found = scaled(query, scaled.key(places))[b, t, s]
        torch.testing.assert_close(found, q @ scaled.key.weight @ k / D**0.5)


def with_location():
    torch.manual_seed(0)
    model = EncoderDecoder(RNNEncoder(V, width=D), AttentionDecoder(V, width=D, score="location"))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    return model.double().eval()


def test_location_features_are_their_formula():
    """The score by loops, from the weights of the step before, whose places lie around."""
    model = with_location()
    score, memory = model.decoder.score, model.encode(SOURCE)
    first, second = model.decoder.weights(IDS[:, :2], memory).unbind(1)  # (B, S) each
    query, _ = model.decoder.below(model.decoder.embedding(IDS[:, :2]), model.decoder.start(
        memory["vector"]))  # fmt: skip
    filters, reach = score.around.weight[:, 0], score.around.padding[0]  # (filters, 2·reach + 1)
    for b, length in enumerate((4, 3, 2)):
        for step, last in ((0, torch.zeros(4).double()), (1, first[b])):
            e = []
            for s in range(length):
                f = sum(filters[:, r - s + reach] * last[r] for r in range(4))
                hidden = score.query.weight @ query[b, step] + score.key(memory["places"][b, s])
                e.append(score.weigh.weight[0] @ torch.tanh(hidden + score.place.weight @ f))
            found = (first, second)[step][b]
            torch.testing.assert_close(found[:length], torch.stack(e).softmax(0))
            assert not found[length:].any()


def test_a_search_goes_on_from_where_each_hypothesis_looked():
    model = with_location()
    rows = beam_search(model, IDS[:, :1], model.encode(SOURCE), BeamConfig(3), max_length=4)
    for i, row in enumerate(rows):
        for h in row:
            ids = torch.tensor([[1, *h.ids, 2]])[:, :5]  # cut off at four tokens, EOS among them
            logits, _ = model(ids[:, :-1], model.encode(SOURCE[i : i + 1]))
            logits[..., [0, 1]] = float("-inf")
            total = logits.log_softmax(-1).gather(2, ids[:, 1:, None]).sum().item()
            assert total == pytest.approx(h.log_probability, abs=1e-9)


@pytest.mark.parametrize("score", ["additive", "multiplicative", "scaled"])
def test_without_location_nothing_is_carried_and_no_weight_added(score):
    torch.manual_seed(0)
    model = EncoderDecoder(RNNEncoder(V, width=D), AttentionDecoder(V, width=D, score=score))
    assert "looked" not in model(IDS, model.encode(SOURCE))[1]
    assert not [n for n, _ in model.named_parameters() if "around" in n or "place" in n]


def test_shared_words_are_one_matrix():
    apart = EncoderDecoder(RNNEncoder(V, width=D), AttentionDecoder(V, width=D))
    assert count_parameters(apart) - V * D == count_parameters(share_embeddings(apart))
    assert apart.encoder.embedding.weight is apart.decoder.read.output.weight
    fixed = share_embeddings(
        EncoderDecoder(FixedVectorEncoder(RNNEncoder(V, width=D)), RNNDecoder(V, width=D))
    )
    assert fixed.encoder.encoder.embedding is fixed.decoder.embedding
    with pytest.raises(ValueError, match="one vocabulary"):
        share_embeddings(EncoderDecoder(RNNEncoder(V + 1, width=D), RNNDecoder(V, width=D)))


def test_pooling_is_a_mean_or_a_maximum_over_tokens():
    for pooling, pool in (("mean", lambda x: x.mean(0)), ("max", lambda x: x.amax(0))):
        torch.manual_seed(0)
        encoder = CNNEncoder(V, width=D, pooling=pooling).double().eval()
        memory = encoder(SOURCE)
        for i, length in enumerate((4, 3, 2)):
            torch.testing.assert_close(memory["vector"][i], pool(memory["places"][i, :length]))


def test_a_gated_convolution_is_its_formula():
    torch.manual_seed(0)
    layer, x, before = (
        GatedConvolution(D, kernel_size=3, causal=True),
        torch.randn(1, 4, D),
        torch.zeros(1, 2, D),
    )
    found = layer(x, before)
    w, b = layer.convolution.weight, layer.convolution.bias  # (2·D, D, kernel), (2·D)
    padded = torch.cat([before, x], 1)[0]
    for t in range(4):
        both = b + sum(w[:, :, k] @ padded[t + k] for k in range(3))
        torch.testing.assert_close(found[0, t], both[:D] * both[D:].sigmoid())


def test_the_state_does_not_grow_in_a_convolutional_decoder():
    model = EncoderDecoder(CNNEncoder(V, width=D), CNNDecoder(V, width=D, layers=2, kernel_size=3))
    state = model.encode(SOURCE)
    for t in range(3):
        _, state = model(IDS[:, t : t + 1], state)
        assert [tuple(b.shape) for b in state["before"]] == [(3, 2, D)] * 2


def test_post_norm_ends_in_its_own_norm_and_pre_norm_in_one_more():
    assert isinstance(
        TransformerEncoder(V, width=D, layers=1, heads=2, norm_first=False).norm, nn.Identity
    )
    memory = TransformerEncoder(V, width=D, layers=1, heads=2)(SOURCE)["places"]
    torch.testing.assert_close(memory.mean(-1), torch.zeros(3, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: RNNEncoder(V, width=D, cell="elman"), "choose from rnn, gru, lstm"),
        (lambda: RNNEncoder(V, width=5), "must be even, got 5"),
        (lambda: RNNEncoder(V, width=D, layers=0), "layers must be a positive whole number"),
        (lambda: CNNEncoder(V, width=D, pooling="median"), "choose from mean, max"),
        (lambda: CNNEncoder(V, width=D, kernel_size=4), "kernel must be odd"),
        (lambda: RNNDecoder(V, width=D, context="never"), "choose from start, every, both"),
        (lambda: AttentionDecoder(V, width=D, score="cosine"), "choose from additive, location"),
        (lambda: TransformerEncoder(V, width=D, heads=4), "4 heads do not divide a width of 6"),
        (
            lambda: TransformerDecoder(V, width=D, heads=2, positional_encoding="circular"),
            "choose from learned",
        ),
    ],
)
def test_mistakes_are_named(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_target_beyond_learned_positions_is_refused():
    decoder = TransformerDecoder(
        V, width=D, layers=1, heads=2, positional_encoding="learned", context_length=2
    )
    model = EncoderDecoder(RNNEncoder(V, width=D), decoder)
    with pytest.raises(ValueError, match="3 tokens long"):
        model(IDS, model.encode(SOURCE))
