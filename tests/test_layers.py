"""Layers: the library's = torch's with copied weights, masked and not, in use and in training."""

import copy

import pytest
import torch
from tensors import random, same
from torch import nn

from utils.data.vocabulary import PAD
from utils.models import attention
from utils.models.layers import ACTIVATIONS, RMSNorm, ScaledEmbedding, TransformerLayer
from utils.models.multi_head import CrossAttention, SelfAttention
from utils.models.positions import PositionalEncoding, sinusoids
from utils.models.transformer import TransformerDecoder, TransformerEncoder

B, T, S, D, H = 3, 5, 7, 12, 4
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
TOKEN = torch.arange(T) < torch.tensor([5, 2, 3])[:, None]  # (B, T)
SEEN = torch.arange(S) < torch.tensor([7, 1, 4])[:, None]  # (B, S)
FUTURE = ~attention.causal_mask(T)  # torch's masks are True where one must not look


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def close(a, b, tolerance) -> bool:
    """The same up to `tolerance` of the largest number, or of 1."""
    return same(a, b, tolerance * max(1.0, b.detach().abs().max().item()))


def gradients(layer, y, x, memory) -> dict:
    """The gradient by each weight and by both inputs, by name; of no use is of zero gradient."""
    at = dict(layer.named_parameters()) | {"x": x, "memory": memory}
    found = torch.autograd.grad(y.sin().sum(), list(at.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g
            for (n, p), g in zip(at.items(), found, strict=True)}  # fmt: skip


def scatter(module: nn.Module) -> nn.Module:
    """Random biases and gains too, so that none of them can be left out unnoticed."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) / 2)
    return module


def split(name: str, theirs: dict) -> dict:
    """torch keeps the three projections of a cross-attention in one matrix, we one and two."""
    found = {}
    for kind in ("weight", "bias"):
        whole = theirs[f"{name}in_proj_{kind}"]
        found[f"cross.query.{kind}"], found[f"cross.kv.{kind}"] = whole.tensor_split([D])
        found[f"cross.project.{kind}"] = theirs[f"{name}out_proj.{kind}"]
    return found


def renamed(theirs: dict) -> dict:
    """torch's state of an encoder or decoder layer under the names of `layers.Layer`."""
    names = {
        "self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj": "attention.project",
        "linear1": "expand", "linear2": "contract",
    }  # fmt: skip
    cross = any("multihead_attn" in name for name in theirs)
    if cross:
        names |= {"norm2": "norm_cross", "norm3": "norm2"}
    found = split("multihead_attn.", theirs) if cross else {}
    for name, value in theirs.items():
        if not name.startswith("multihead_attn"):
            old = next((old for old in names if name.startswith(old)), "")
            found[name.replace(old, names.get(old, ""), 1)] = value
    return found


def pair(cross, norm_first, causal, dropout=0.0, activation="gelu", dtype=torch.float64):
    """A layer of ours and one of torch's with the same weights."""
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    torchs = kind(D, H, 20, dropout, activation, batch_first=True, norm_first=norm_first)
    options = {"bias": True, "hidden": 20, "activation": activation, "causal": causal}
    own = TransformerLayer(
        D, heads=H, norm_first=norm_first, cross_attention=cross, dropout=dropout, **options
    )
    own.load_state_dict(renamed(scatter(torchs).state_dict()))
    return own.to(dtype), torchs.to(dtype)


def both(own, torchs, x, memory, causal, padded):
    """What the two layers give for x (B, T, D), with a memory (B, S, D) where there is cross."""
    token, seen = (TOKEN, SEEN) if padded else (None, None)
    hidden = {"padding": token} | ({} if own.cross is None else {"seen": seen})
    known = {} if own.cross is None else {"known": own.cross.known(memory)}
    mine = own(x, **hidden, **known)[0]
    mask, blank = FUTURE if causal else None, None if token is None else ~token
    if own.cross is None:
        return mine, torchs(x, src_mask=mask, src_key_padding_mask=blank)
    unseen = None if seen is None else ~seen
    return mine, torchs(x, memory, mask, tgt_key_padding_mask=blank, memory_key_padding_mask=unseen)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_a_layer_is_torchs_with_its_gradients(cross, norm_first, causal, padded, training, dtype):
    own, torchs = pair(cross, norm_first, causal, dtype=dtype)
    own.train(training), torchs.train(training)
    x, memory = (random(B, n, D, dtype=dtype).requires_grad_() for n in (T, S))
    token = TOKEN if padded else torch.ones_like(TOKEN)  # what stands at padding does not count
    mine, theirs = (y[token] for y in both(own, torchs, x, memory, causal, padded))
    assert close(mine, theirs, TOLERANCE[dtype])
    found, wanted = gradients(own, mine, x, memory), gradients(torchs, theirs, x, memory)
    inputs = {name: wanted.pop(name) for name in ("x", "memory")}
    wanted = renamed(wanted) | inputs
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        assert close(gradient, wanted[name], 10 * TOLERANCE[dtype]), name


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_dropout_falls_on_the_same_numbers_as_torchs(cross, norm_first):
    """One sentence: torch draws those of several in another order."""
    own, torchs = pair(cross, norm_first, True, dropout=0.3)
    x, memory = random(1, T, D), random(1, S, D)
    torch.manual_seed(7)
    mine = own(x, known=own.cross.known(memory) if cross else None)[0]
    torch.manual_seed(7)
    theirs = torchs(x, memory, FUTURE) if cross else torchs(x, FUTURE)
    assert same(mine, theirs)
    assert not same(mine, own.eval()(x, known=own.cross.known(memory) if cross else None)[0], 1e-3)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_an_encoder_layer_is_torchs_fast_path(padded, norm_first, monkeypatch):
    """In evaluation without gradients, torch takes a kernel of its own."""
    kernel, calls = torch._transformer_encoder_layer_fwd, []
    monkeypatch.setattr(
        torch, "_transformer_encoder_layer_fwd", lambda *a: calls.append(1) or kernel(*a)
    )
    own, torchs = pair(False, norm_first, False, dtype=torch.float32)
    own.eval(), torchs.eval()
    x = random(B, T, D, dtype=torch.float32)
    token = TOKEN if padded else torch.ones_like(TOKEN)
    with torch.inference_mode():
        mine, theirs = both(own, torchs, x, None, False, padded)
    assert calls and close(mine[token], theirs[token], 1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_self_attention_is_torchs_multi_head_attention(training, padded, causal, dtype):
    torchs = scatter(nn.MultiheadAttention(D, H, batch_first=True)).to(dtype).train(training)
    own = SelfAttention(D, heads=H, causal=causal, bias=True).to(dtype).train(training)
    own.load_state_dict({
        name.replace("in_proj_", "qkv.").replace("out_proj", "project"): weight
        for name, weight in torchs.state_dict().items()
    })  # fmt: skip
    x = random(B, T, D, dtype=dtype)
    mine = own(x, padding=TOKEN if padded else None)[0]
    masks = {"attn_mask": FUTURE} if causal else {}
    theirs, _ = torchs(x, x, x, key_padding_mask=~TOKEN if padded else None, **masks)
    assert close(mine, theirs, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("padded", [False, True])
def test_cross_attention_is_torchs_multi_head_attention(padded, dtype):
    torchs = scatter(nn.MultiheadAttention(D, H, batch_first=True)).to(dtype)
    own = CrossAttention(D, heads=H, bias=True).to(dtype)
    weights = split("", torchs.state_dict())
    own.load_state_dict({name.removeprefix("cross."): w for name, w in weights.items()})
    x, memory = random(B, T, D, dtype=dtype), random(B, S, D, dtype=dtype)
    mine = own(x, own.known(memory), SEEN if padded else None)
    theirs, _ = torchs(x, memory, memory, key_padding_mask=~SEEN if padded else None)
    assert close(mine, theirs, TOLERANCE[dtype])


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_and_decoder_are_torchs_stacks(norm_first):
    """All layers and the norm behind the last, from word vectors with positions to the output."""
    V, options = 11, {"layers": 2, "heads": H, "hidden": 20, "norm_first": norm_first, "bias": True}
    encoder, decoder = (kind(V, D, **options) for kind in (TransformerEncoder, TransformerDecoder))
    shape = (D, H, 20, 0.0, "gelu", 1e-5, True, norm_first)
    norms = [nn.LayerNorm(D) if norm_first else None for _ in range(2)]
    torchs_encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(*shape), 2, norms[0], enable_nested_tensor=False
    )
    torchs_decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(*shape), 2, norms[1])
    for own, theirs in ((encoder, torchs_encoder), (decoder, torchs_decoder)):
        scatter(theirs)
        for mine, layer in zip(own.layers, theirs.layers, strict=True):
            mine.load_state_dict(renamed(layer.state_dict()))
        if norm_first:
            own.norm.load_state_dict(theirs.norm.state_dict())
    for module in (encoder, decoder, torchs_encoder, torchs_decoder):
        module.double().eval()
    source = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD]])
    ids = torch.tensor([[1, 5, 6, 4], [1, 9, 9, 3], [1, 3, 10, 8]])

    def placed(model, ids):
        x = model.embedding.weight[ids] * D**0.5
        return x + sinusoids(torch.arange(ids.shape[1]), D, dtype=torch.float64)

    blank, future = source == PAD, ~attention.causal_mask(4)
    memory = torchs_encoder(placed(encoder, source), src_key_padding_mask=blank)
    x = torchs_decoder(placed(decoder, ids), memory, future, memory_key_padding_mask=blank)
    state = encoder(source)
    assert same(state["places"][~blank], memory[~blank], 1e-10)
    logits = x @ decoder.embedding.weight.T + decoder.read.output.bias
    assert same(decoder(ids, state)[0], logits, 1e-9)


def test_a_layer_reads_as_its_formula():
    """Post-norm is norm(x + f(x)) and pre-norm x + f(norm(x)), part after part."""
    for norm_first in (True, False):
        own = scatter(
            TransformerLayer(D, heads=H, bias=True, cross_attention=True, norm_first=norm_first)
        ).double()
        x, known = random(B, T, D), own.cross.known(random(B, S, D))
        parts = {
            own.norm1: lambda y, own=own: own.attention(y)[0],
            own.norm_cross: lambda y, own=own, known=known: own.cross(y, known),
            own.norm2: lambda y, own=own: own.contract(nn.functional.gelu(own.expand(y))),
        }
        y = x
        for norm, part in parts.items():
            y = y + part(norm(y)) if norm_first else norm(y + part(y))
        assert same(own(x, known=known)[0], y)


def test_rms_norm_is_torchs():
    own, torchs = RMSNorm(D).double(), nn.RMSNorm(D, eps=1e-6).double()
    with torch.no_grad():
        own.weight.copy_(torch.rand(D))
        torchs.weight.copy_(own.weight)
    x = random(B, T, D) * 3
    assert same(own(x), torchs(x))
    assert torch.isfinite(own(torch.zeros(1, D))).all()


def test_squared_relu():
    x = torch.tensor([-2.0, 0.0, 3.0])
    assert torch.equal(ACTIVATIONS["relu2"](x), torch.tensor([0.0, 0.0, 9.0]))


def test_a_scaled_embedding_is_the_tables_row_times_the_root_of_its_length():
    table = ScaledEmbedding(9, 16, padding_idx=PAD)
    assert same(table(torch.tensor([[3, PAD]])), 4 * table.weight[torch.tensor([[3, PAD]])])
    assert (table.weight[PAD] == 0).all()


def test_dropout_acts_in_training_only():
    own = TransformerLayer(D, heads=H, dropout=0.5)
    x = random(B, T, D, dtype=torch.float32)
    assert not same(own(x)[0], own(x)[0]) and same(own.eval()(x)[0], own(x)[0])
    assert same(copy.deepcopy(own)(x)[0], own(x)[0])


@pytest.mark.parametrize("kind", ["rotary", "sinusoidal"])
def test_half_precision_tells_far_places_apart(kind):
    x, places = torch.zeros(1, 2, 8, dtype=torch.bfloat16), torch.tensor([[256, 257]])
    placed, turn = PositionalEncoding(kind, width=8, head_width=8, context_length=4)(x, places)
    near, far = (turn[0][0, 0] if turn else placed[0]).unbind(0)
    assert near.dtype == torch.bfloat16 and not torch.equal(near, far)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="activation is 'swish'; choose from gelu, relu, relu2"):
        TransformerLayer(12, heads=3, activation="swish")
    with pytest.raises(ValueError, match="norm is 'batch'; choose from layer, rms"):
        TransformerLayer(12, heads=3, norm="batch")
    with pytest.raises(ValueError, match="positions is 'none'; choose from learned, rotary"):
        PositionalEncoding("none", width=12, head_width=4, context_length=8)
