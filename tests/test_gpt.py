"""GPT under the contract, its options, its window, and the optimizer of the fast recipe."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import Batch
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding import sampling
from utils.decoding.sampling import SamplingConfig
from utils.decoding.search import BeamConfig, beam_search, greedy
from utils.decoding.state import select_rows
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT, ngram_row
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.optimizers import POLYNOMIALS, adamw, muon, orthogonalize

V, B, T = 11, 3, 7
GPT2 = {
    "positions": "learned", "norm": "layer", "activation": "gelu", "normalized": False,
    "bias": True,
}  # fmt: skip
MODELS = {
    "rotary": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "learned": {"positions": "learned", "block": 20},
    "gpt2": GPT2 | {"block": 20},
    "window": {"block": 3},
    "window of one": {"block": 1, "positions": "sinusoidal"},
    "pairs": {"grams": (V * V,), "block": 2},
    "grams": {"grams": (V * V, V**3, 50)},
}
PRECISION = {torch.float32: 1e-6, torch.float64: 1e-12}


def make(name: str, dtype=torch.float64) -> GPT:
    """In evaluation mode, with weights large enough for every part to matter."""
    torch.manual_seed(0)
    model = GPT(V, width=16, layers=2, heads=2, zero_init=False, **MODELS[name]).to(dtype).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return model


@pytest.fixture
def ids():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


def same(a, b, tolerance=1e-12) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


def same_states(a, b, tolerance=1e-12) -> bool:
    pairs = zip(a[1:], b[1:], strict=True)
    return torch.equal(a[0], b[0]) and all(
        same(x, y, tolerance) for m, n in pairs for x, y in zip(m, n, strict=True)
    )


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", MODELS)
def test_with_a_cache_is_without(name, dtype, ids):
    model = make(name, dtype)
    whole, last = model(ids)
    assert whole.shape == (B, T, V) and whole.dtype == dtype and whole.std() > 0.1
    for sizes in ([1] * T, [2, 5], [5, 2], [3, 1, 3]):
        state, parts = None, []
        for part in ids.split(sizes, 1):
            logits, state = model(part, state)
            parts.append(logits)
        assert same(torch.cat(parts, 1), whole, PRECISION[dtype])
        assert same_states(state, last, 5 * PRECISION[dtype])  # keys are larger than logits
    assert all(cache[0].shape[2] == min(T, model.block - 1) for cache in last[1:3])


@pytest.mark.parametrize("name", MODELS)
def test_the_future_does_not_change_the_past(name, ids):
    model, other = make(name), ids.clone()
    other[:, 4:] = (other[:, 4:] + 1) % V
    a, b = model(ids)[0], model(other)[0]
    assert torch.equal(a[:, :4], b[:, :4])
    assert (a[:, 4] - b[:, 4]).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_each_row_stands_alone_and_states_can_be_reordered(name, ids):
    model = make(name)
    whole, state = model(ids)
    assert same(model(ids[1:2])[0], whole[1:2])
    kept = [cache[0].clone() for cache in state[1:]]
    rows, step = torch.tensor([2, 0, 0, 1]), ids[:, :1]
    moved, _ = model(step[rows], select_rows(state, rows))
    assert same(moved, model(step, state)[0][rows])
    assert all(torch.equal(a, b[0]) for a, b in zip(kept, state[1:], strict=True))


def test_the_vectors_of_n_grams_are_added_to_the_words(ids):
    """With layers that are the identity, the sum of vectors is what is left: by plain loops."""
    torch.manual_seed(0)
    model = GPT(V, width=16, layers=2, heads=2, ngram_tables=(V * V, 50)).double()
    words, pairs, triples = (t.weight for t in (model.embedding, *model.grams))
    expected = torch.empty(B, T, 16, dtype=torch.float64)
    for b, row in enumerate(ids.tolist()):
        for t, (u, v, w) in enumerate(zip([PAD, PAD, *row], [PAD, *row], row, strict=False)):
            expected[b, t] = words[w] + pairs[V * v + w] + triples[(V * V * u + V * v + w) % 50]
    assert same(model(ids)[0], model.norm(expected) @ words.T)
    plain = count_parameters(GPT(V, width=16, layers=2, heads=2))
    assert count_parameters(model) == plain + 16 * (V * V + 50)
    large = GPT(V, width=64, layers=1, heads=2, ngram_tables=(500, 500))
    assert all(abs(table.weight.std() - 0.1) < 0.005 for table in large.grams)
    assert (
        torch.equal(model(ids)[1][-1], ids[:, -2:])
        and len(GPT(V, width=16, layers=2, heads=2)(ids)[1]) == 3
    )


@pytest.mark.parametrize("n, rows", [(2, 25), (3, 125), (3, 200)])
def test_each_n_gram_has_its_own_row_where_they_suffice(n, rows):
    all_grams = torch.cartesian_prod(*[torch.arange(5)] * n)
    assert ngram_row(all_grams, vocab_size=5, rows=rows).tolist() == list(range(5**n))


@pytest.mark.parametrize("vocab_size, rows", [(65, 8192), (64, 8192), (50_000, 4096), (7, 6)])
def test_n_grams_that_share_rows_lose_no_word(vocab_size, rows):
    random = torch.Generator().manual_seed(0)
    grams = torch.randint(vocab_size, (5000, 5), generator=random)
    found = ngram_row(grams, vocab_size=vocab_size, rows=rows)
    assert found.min() >= 0 and found.max() < rows
    for place in range(5):  # another word, by less than the rows are many: another row
        other = grams.clone()
        other[:, place] = (other[:, place] + 1) % vocab_size
        kept = (other[:, place] - grams[:, place]) % rows != 0
        changed = ngram_row(other, vocab_size=vocab_size, rows=rows) != found
        assert changed[kept].all() and kept.any()
    counts = found.bincount(minlength=rows).double()
    assert counts.max() < 8 * max(1, 5000 / rows), "the rows are used alike"


def test_the_number_of_an_n_gram_may_be_beyond_64_bits():
    number = sum(49_999 * 50_001**k for k in range(5))
    assert ngram_row(torch.full((5,), 49_999), vocab_size=50_000, rows=4096) == number % 4096


def test_padding_at_the_end_changes_nothing_before_it(ids):
    model = make("rotary")
    padded = F.pad(ids, (0, 4), value=PAD)
    assert same(model(padded)[0][:, :T], model(ids)[0])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_the_window_reaches_layers_times_block_less_one_back(layers, block, ids):
    torch.manual_seed(0)
    model = GPT(V, width=16, layers=layers, heads=2, context_length=block, zero_init=False).double()
    reach = layers * (block - 1)
    here = model(ids)[0][:, -1]
    for back in range(T):
        other = ids.clone()
        other[:, T - 1 - back] = (other[:, T - 1 - back] + 1) % V
        change = (model(other)[0][:, -1] - here).abs().amax(-1)  # (B,)
        assert (change > 1e-12).all() if back <= reach else (change == 0).all(), back


def test_rotary_logits_do_not_know_where_the_text_stands(ids):
    """A text that begins at place 1,000 of a state that holds no other place."""
    nothing = torch.zeros(B, 2, 0, 8, dtype=torch.float64)
    state = (torch.full((B,), 1000), *[(nothing, nothing)] * 2)
    rotary, sinusoidal = make("rotary"), make("sinusoidal")
    assert same(rotary(ids, state)[0], rotary(ids)[0], 1e-9)
    assert not same(sinusoidal(ids, state)[0], sinusoidal(ids)[0], 1e-3)


@pytest.mark.parametrize("name", ["rotary", "sinusoidal", "learned"])
def test_the_order_of_the_words_matters(name):
    model = make(name)
    a, b = model(torch.tensor([[4, 5, 6], [5, 4, 6]]))[0][:, -1]
    assert (a - b).abs().max() > 1e-6


def test_learned_positions_end_with_the_block():
    model = GPT(V, width=8, layers=1, heads=2, context_length=4, positional_encoding="learned")
    ids = torch.full((2, 5), 4)
    state = model(ids[:, :4])[1]
    for mistake in (lambda: model(ids), lambda: model(ids[:, :1], state)):
        with pytest.raises(ValueError, match="5 tokens long, .* end at block=4.*rotary"):
            mistake()


def test_it_is_torchs_encoder_with_copied_weights(ids):
    """GPT-2's shape against nn.TransformerEncoder with a causal mask, embeddings by hand."""
    model = make("gpt2")
    layer = nn.TransformerEncoderLayer(
        16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True
    ).double()
    torchs = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16).double(), enable_nested_tensor=False)
    renamed = {
        "attention.qkv.": "self_attn.in_proj_", "attention.project": "self_attn.out_proj",
        "expand": "linear1", "contract": "linear2",
    }  # fmt: skip
    weights = {}
    for name, value in model.state_dict().items():
        for mine, theirs in renamed.items():
            name = name.replace(mine, theirs)
        weights[name] = value
    table, places = weights.pop("embedding.weight"), weights.pop("places.table.weight")
    assert torch.equal(weights.pop("output.weight"), table)
    torchs.load_state_dict(weights)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    x = torchs(table[ids] + places[:T], mask=future)
    assert same(model(ids)[0], x @ table.T)


@pytest.mark.parametrize("width, layers, heads, block", [(16, 2, 2, 5), (24, 3, 4, 8)])
def test_the_number_of_parameters_is_the_formulas(width, layers, heads, block):
    D, sizes = width, (V, width, layers, heads, block)
    inside = layers * (4 + 8) * D * D
    assert count_parameters(GPT(*sizes)) == V * D + inside + (2 * layers + 1) * D
    gpt2 = V * D + block * D + inside + layers * (3 + 1 + 4 + 1) * D + (2 * layers + 1) * 2 * D
    assert count_parameters(GPT(*sizes, **GPT2)) == gpt2


def test_zeros_make_each_layer_the_identity_at_the_start(ids):
    model = GPT(V, width=16, layers=2, heads=2).double()
    found = model.norm(model.embedding(ids)) @ model.embedding.weight.T
    assert same(model(ids)[0], found)
    model = GPT(V, width=256, layers=8, heads=2, zero_init=False)
    std = model.layers[3].contract.weight.std().item()
    assert abs(std / 0.005 - 1) < 0.05 and abs(model.layers[3].expand.weight.std() - 0.02) < 1e-3


@pytest.mark.parametrize("name", ["rotary", "learned", "gpt2"])
def test_every_parameter_gets_a_gradient(name, ids):
    model = make(name)
    F.cross_entropy(model(ids)[0].flatten(0, 1), ids.roll(-1, 1).flatten()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_dropout_acts_in_training_only(ids):
    model = GPT(V, width=16, layers=1, heads=2, dropout=0.5)
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


TEXTS = torch.tensor([[BOS, 5, 6, 7, 8], [BOS, 9, 9, 4, 4], [BOS, 3, 10, 4, 5], [BOS, 4, 5, 6, 7]])


def learned_by_heart(optimizer, **options) -> tuple[GPT, float]:
    torch.manual_seed(0)
    model = GPT(V, width=32, layers=2, heads=2, context_length=5, **options)
    targets = torch.cat([TEXTS[:, 1:], torch.full((4, 1), EOS)], 1)
    batch = Batch(TEXTS, targets)
    config = TrainConfig(steps=60, learning_rate=1e-2)
    fit(model, [batch] * 60, config, progress=False, optimizer=optimizer)
    return model, evaluate(model, [batch]).loss


@pytest.mark.parametrize("optimizer", [adamw, muon])
@pytest.mark.parametrize("options", [{}, GPT2])
def test_one_batch_can_be_learned_by_heart(optimizer, options):
    _, loss = learned_by_heart(optimizer, **options)
    floor = torch.tensor(4.0).log().item() / 5  # nothing tells the rows apart at their first word
    assert floor - 1e-4 < loss < floor + 0.05


def test_decoding_runs_on_it():
    model, _ = learned_by_heart(muon)
    prompts = TEXTS[:, :2]
    rest = TEXTS[:, 2:].tolist()
    assert greedy(model, prompts, max_length=9) == rest
    beams = beam_search(model, prompts, config=BeamConfig(3), max_length=9)
    assert [row[0].ids for row in beams] == rest
    drawn = sampling.sample(model, prompts, config=SamplingConfig(temperature=0.1), max_length=9)
    assert drawn == rest
    endless = GPT(
        V, width=16, layers=1, heads=2, context_length=3
    ).eval()  # beyond the block, the window slides
    assert (
        max(
            map(
                len,
                sampling.sample(
                    endless, prompts, config=SamplingConfig(temperature=2.0), max_length=20
                ),
            )
        )
        > 3
    )


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="positions is 'alibi'; choose from learned, rotary, sin"):
        GPT(V, positional_encoding="alibi")
    with pytest.raises(ValueError, match="3 heads do not divide a width of 16"):
        GPT(V, width=16, heads=3)
    for name in ("vocab_size", "width", "layers", "heads", "block"):
        with pytest.raises(ValueError, match=f"^{name} must be a positive whole number"):
            GPT(**({"vocab_size": V} | {name: 0}))
    with pytest.raises(ValueError, match=r"^grams\[1\] must be a positive whole number, got 0"):
        GPT(V, ngram_tables=(V * V, 0))


def test_muon_takes_the_matrices_inside_and_adamw_the_rest():
    model = GPT(V, width=16, layers=2, heads=2, ngram_tables=(V * V, 20), **GPT2)
    config = TrainConfig(weight_decay=0.1, learning_rate=1e-3)
    groups = muon(model, config, ratio=7.0).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    inside = {names[id(p)] for g in groups if "muon" in g for p in g["params"]}
    parts = ("attention.qkv", "attention.project", "expand", "contract")
    assert inside == {f"layers.{i}.{part}.weight" for i in range(2) for part in parts}
    rest = [names[id(p)] for g in groups if "muon" not in g for p in g["params"]]
    assert sorted([*rest, *inside]) == sorted(names.values()), "each parameter exactly once"
    decays = {names[id(p)]: g["weight_decay"] for g in groups for p in g["params"]}
    assert all(decays[name] == (0.1 if p.dim() == 2 else 0) for name, p in model.named_parameters())
    assert {g["scale"] for g in groups if "muon" in g} == {7.0}
    untied = nn.ModuleDict({"inner": nn.Linear(4, 4), "output": nn.Linear(4, V)})
    chosen = [g["params"] for g in muon(untied, config).param_groups if "muon" in g]
    assert len(chosen) == 1 and chosen[0][0] is untied["inner"].weight


def test_a_step_of_muon_by_the_singular_values():
    torch.manual_seed(0)
    lone = nn.Linear(6, 12).double()
    before, gradient = lone.weight.detach().clone(), torch.randn(12, 6, dtype=torch.float64)
    config = TrainConfig(learning_rate=1e-3, weight_decay=0.1)
    step = muon(lone, config)
    for group in step.param_groups:
        group["lr"] = 0.01
    lone.weight.grad, lone.bias.grad = gradient.clone(), torch.ones(12, dtype=torch.float64)
    bias = lone.bias.detach().clone()
    step.step()
    change = (before * (1 - 0.01 * 0.1) - lone.weight.detach()) / (0.01 * 2**0.5)
    u, s, vh = torch.linalg.svd(gradient, full_matrices=False)
    sizes = u.T @ change @ vh.T  # the gradient's own directions
    assert (sizes.diag() > 0.65).all() and (sizes.diag() < 1.25).all() and s.max() / s.min() > 1.5
    assert (sizes - sizes.diag().diag()).abs().max() < 1e-6
    assert same(lone.bias.detach(), bias - 0.01, 1e-6), "AdamW's first step has the rate's size"


def test_muon_looks_ahead_of_its_momentum():
    torch.manual_seed(0)
    lone, gradients = nn.Linear(6, 6, bias=False).double(), torch.randn(3, 6, 6).double()
    step = muon(lone, TrainConfig(learning_rate=0.01))
    mean = torch.zeros(6, 6).double()
    for gradient in gradients:
        before, lone.weight.grad = lone.weight.detach().clone(), gradient.clone()
        step.step()
        mean = 0.95 * mean + 0.05 * gradient
        ahead = orthogonalize(0.95 * mean + 0.05 * gradient)
        assert same(before - lone.weight.detach(), 0.01 * ahead, 1e-9)


def test_fit_multiplies_the_rate_of_a_group_by_its_scale():
    model = GPT(V, width=16, layers=1, heads=2)
    before = model.layers[0].attention.project.weight.detach().clone()
    config = TrainConfig(steps=1, learning_rate=1e-3, warmup=0, schedule="constant")
    batch = Batch(TEXTS, TEXTS.roll(-1, 1))
    fit(model, [batch], config, progress=False, optimizer=muon)
    change = model.layers[0].attention.project.weight.detach() - before
    assert 0.6 < torch.linalg.matrix_norm(change, 2) / (2 * 1e-3) < 1.3


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (2, 4, 6)])
def test_orthogonal_moves_all_singular_values_near_one(shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    s = torch.logspace(-1.9, 0, s.shape[-1], dtype=torch.float64).expand_as(s)
    found = orthogonalize(u @ s.diag_embed() @ vh)
    sizes = u.mT @ found @ vh.mT  # in the directions of x, (…, n, n)
    on_the_diagonal = sizes.diagonal(0, -2, -1).diag_embed()
    assert found.shape == x.shape and same(sizes, on_the_diagonal, 1e-9)
    assert 0.72 < sizes.diagonal(0, -2, -1).min() and sizes.diagonal(0, -2, -1).max() < 1.28
    assert orthogonalize(torch.zeros(2, 3)).abs().max() == 0, "no NaN without a gradient"


def test_the_polynomials_of_muon_keep_their_promise():
    sigma = torch.logspace(-2, 0, 10_000, dtype=torch.float64)
    for a, b, c in POLYNOMIALS:
        sigma = a * sigma + b * sigma**3 + c * sigma**5
    assert 0.72 < sigma.min() < 0.74 and 1.26 < sigma.max() < 1.27


class Stopping(list):
    """Batches that stop the program at a step, once."""

    stop: int | None = None

    def __getitem__(self, step):
        if step == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        return super().__getitem__(step)


def test_a_run_with_muon_resumes_exactly(tmp_path):
    batches = Stopping([Batch(TEXTS, TEXTS.roll(-step, 1)) for step in range(1, 13)])
    config = TrainConfig(steps=12, learning_rate=1e-2, checkpoint_every=6)

    def run(checkpoint=None):
        torch.manual_seed(0)
        model = GPT(V, width=16, layers=1, heads=2)
        options = {"checkpoint": checkpoint, "progress": False, "optimizer": muon}
        fit(model, batches, config, **options)
        return model

    whole, path = run(), tmp_path / "run.safetensors"
    batches.stop = 8
    with pytest.raises(KeyboardInterrupt):
        run(path)
    pairs = zip(whole.parameters(), run(path).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_it_compiles_to_one_graph_for_all_lengths_and_is_exported_with_a_free_one():
    model, graphs = make("rotary"), []

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model(ids)[0]

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(Logits(), backend=count, fullgraph=True)
    length = torch.export.Dim("length", min=2, max=model.block - 1)
    rows = torch.export.Dim("rows", min=1, max=8)
    example, free = torch.zeros(2, 9, dtype=torch.long), {"ids": {0: rows, 1: length}}
    program = torch.export.export(Logits(), (example,), dynamic_shapes=free)
    with torch.no_grad():
        for size in ((2, 7), (2, 8), (2, 9), (2, 12)):
            text = torch.randint(V, size)
            assert same(compiled(text), model(text)[0]), size
            assert same(program.module()(text), model(text)[0]), size
    assert len(graphs) == 2, "one for the first length, one for all others"


def test_the_baseline_of_the_benchmark_is_gpt_with_its_options(ids):
    from benchmarks import characters as bench

    torch.manual_seed(0)
    theirs = bench.Baseline(V).double()
    ours = GPT(
        V,
        width=bench.WIDTH,
        layers=bench.LAYERS,
        heads=bench.HEADS,
        context_length=bench.BLOCK,
        **bench.GPT2,
    ).double()
    assert count_parameters(theirs) == count_parameters(ours)
    renamed = {
        "wte": "embedding", "wpe": "places.table", "h.": "layers.", "ln_1": "norm1",
        "ln_2": "norm2", "c_attn": "attention.qkv", "attn_proj": "attention.project",
        "c_fc": "expand", "mlp_proj": "contract", "ln_f": "norm",
    }  # fmt: skip
    weights = {"output.weight": theirs.wte.weight}
    for name, value in theirs.state_dict().items():
        for key, mine in renamed.items():
            name = name.replace(key, mine)
        weights[name] = value
    ours.load_state_dict(weights)
    assert same(ours(ids)[0], theirs(ids)[0])
    deviation = {"c_fc": 0.02, "mlp_proj": 0.02 / 8**0.5, "attn_proj": 0.02 / 8**0.5}
    for key, expected in deviation.items():
        values = torch.cat([p.flatten() for n, p in theirs.named_parameters() if key in n])
        assert abs(values.std() / expected - 1) < 0.02


def test_the_benchmark_times_each_recipe_alone(monkeypatch):
    from benchmarks import characters as bench

    monkeypatch.setattr(bench, "BATCH", 2)
    monkeypatch.setattr(bench, "BLOCK", 8)
    text = torch.randint(V, (2000,), generator=torch.Generator().manual_seed(0))
    run = bench.duel(text, text[:300], V, 0, steps=10, own=40)
    curves = {name: bench.Curve(**curve) for name, curve in run.items()}
    assert {name: c.steps[-1] for name, c in curves.items()} == {
        "baseline": 10, "book": 40, "quarter": 10,
    }  # fmt: skip
    for curve in curves.values():
        lengths = {len(part) for part in (curve.steps, curve.losses, curve.wall, curve.processor)}
        assert lengths == {bench.LOOKS} and curve.wall == sorted(curve.wall)
    found = bench.summary([run])
    assert found["final_loss"]["book"]["mean"] == curves["book"].losses[-1]
    assert curves["book"].seconds_to(99.0) == curves["book"].processor[0]
    assert curves["book"].seconds_to(0.0) is None


def test_the_clock_leaves_out_what_happens_meanwhile():
    import time

    from benchmarks import characters as bench

    clock = bench.Clock([1])
    clock.meanwhile = (time.sleep(0.2) for _ in range(9))
    clock.start()
    for _ in range(2):
        time.sleep(0.05)
        assert list(clock) == [1]
    wall = [reading.wall for reading in clock.readings]
    assert 0.04 < wall[0] and 0.09 < wall[1] < 0.29, "two sleeps of 0.2 s are left out"

    text = torch.randint(V, (200,), generator=torch.Generator().manual_seed(0))
    clock, config = bench.windows(text), bench.looks(bench.BASELINE, 10)
    begun, slept = time.perf_counter(), 0.0
    for _ in bench.run_baseline(text, clock, V, 0, config):
        time.sleep(0.3)
        slept += 0.3
    assert clock.readings[-1].wall < time.perf_counter() - begun - slept + 0.1
