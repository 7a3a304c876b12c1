"""Copying through one vector: stacked networks compute what single ones do, and rows say how."""

import ast
import itertools
import json
import math
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import result_files
from benchmarks.bottleneck import __main__ as command
from benchmarks.bottleneck import comparison, readers
from benchmarks.bottleneck.comparison import TUNING_SEEDS
from benchmarks.bottleneck.networks import (
    WIDEST,
    WIDTH,
    Network,
    Stack,
    count_parameters,
    initial_parameters,
)
from benchmarks.bottleneck.parts import PARTS, Recipe
from benchmarks.bottleneck.readers import (
    NEW_DECODERS,
    NEW_SEED,
    NewDecoder,
    frozen_vectors,
    train_new_decoders,
)
from benchmarks.bottleneck.task import (
    LETTER_BITS,
    LETTERS,
    LONGEST,
    NUM_STRINGS,
    REPORTING,
    SELECTION,
    VOCAB_SIZE,
    CopyScores,
    bits_not_read,
    bits_read,
    make_strings,
    measured_letters,
    read,
    training_letters,
)
from benchmarks.bottleneck.training import minimize, train
from tests.helpers.benchmark_runs import record_calls
from utils.data.vocabulary import BOS, EOS, SPECIAL_TOKENS
from utils.notebook.seed_results import StoredRow
from utils.runtime import seed_everything
from utils.training.config import TrainConfig, learning_rate_at


def batch(seeds, reversed_source=None, step=7):
    letters = training_letters(seeds, step, batch_size=6)
    return make_strings(letters, reversed_source or [False] * len(seeds))


def layer(parameters, side, cell):
    """PyTorch's layer with the parameters of one network of a stack."""
    rnn = (nn.GRU if cell == "gru" else nn.RNN)(WIDTH, WIDTH, batch_first=True)
    names = {"weight_ih_l0": "input", "weight_hh_l0": "hidden"}
    state = {name: parameters[f"{side}.{ours}"].T for name, ours in names.items()}
    names = {"bias_ih_l0": "input bias", "bias_hh_l0": "hidden bias"}
    state |= {name: parameters[f"{side}.{ours}"][0] for name, ours in names.items()}
    rnn.load_state_dict(state)
    return rnn


def of_one(stack, index):
    return {name: x[index].detach() for name, x in stack.parameters.items()}


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_stacked_network_computes_what_layers_of_pytorch_do(cell):
    networks = [Network(numbers=4, cell=cell), Network(numbers=32, cell=cell)]
    stack = Stack(networks, [3, 5])
    strings = batch([3, 5])
    logits = stack.logits(strings)
    for i, k in enumerate((4, 32)):
        p = of_one(stack, i)
        vectors = p["encoder.embedding"][strings.source[i]]
        _, state = layer(p, "encoder", cell)(vectors)
        numbers = state[0] @ p["narrow"][:, :k]
        c = numbers @ p["widen"][:k] + p["widen bias"]
        x, _ = layer(p, "decoder", cell)(p["decoder.embedding"][strings.inputs[i]], c[None])
        expected = x @ p["output"] + p["output bias"]
        assert torch.allclose(logits[i], expected, atol=1e-5)


def test_attention_looks_at_all_states_and_the_vector_is_one_of_them():
    strings = batch([1])
    stacks = {m: Stack([Network(memory=m)], [1]) for m in ("start", "vector", "states")}
    states, c = stacks["states"].encode(strings.source)
    for memory, kept in (("vector", c[:, :, None]), ("states", states)):
        p = of_one(stacks[memory], 0)
        x, _ = layer(p, "decoder", "gru")(p["decoder.embedding"][strings.inputs[0]], c)
        logits = stacks[memory].logits(strings)[0]
        for b, t in itertools.product(range(2), range(x.shape[1])):
            scores = torch.stack([x[b, t] @ p["query"] @ h for h in kept[0, b]])
            context = sum(w * h for w, h in zip(scores.softmax(0), kept[0, b], strict=True))
            mixed = torch.tanh(torch.cat([x[b, t], context]) @ p["mix"] + p["mix bias"][0])
            expected = mixed @ p["output"] + p["output bias"][0]
            assert torch.allclose(logits[b, t], expected, atol=1e-5), memory
    sizes = {m: count_parameters(Network(memory=m)) for m in stacks}
    assert sizes["vector"] == sizes["states"] > sizes["start"]
    assert sizes["start"] == sum(x[0].numel() for x in stacks["start"].parameters.values())


SHOWN = """Copier StrongerCopier BackwardsCopier copier_of LeakyRNN without_update_gate HalfKeptGRU
    AttentiveCopier SmallMemory""".split()


@cache
def page():
    """The models that section 2.3 shows, by name."""
    (path,) = (Path(__file__).parents[2] / "notebooks").glob("02-3-*.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    nodes = [node for source in sources for node in ast.parse(source).body]
    definitions = [node for node in nodes if getattr(node, "name", None) in SHOWN]
    assert len(definitions) == len(SHOWN)
    names = {"nn": nn, "torch": torch, "seed_everything": seed_everything}
    names |= {"WIDTH": WIDTH, "V": VOCAB_SIZE, "SEED": 0}
    exec(compile(ast.Module(definitions, []), str(path), "exec"), names)
    return names


def load_from_benchmark(copier, parameters, numbers=None):
    """Give a model of the page the parameters of one network of a stack."""
    weights = {
        "source_embedding.weight": parameters["encoder.embedding"],
        "target_embedding.weight": parameters["decoder.embedding"],
        "output.weight": parameters["output"].T,
        "output.bias": parameters["output bias"][0],
    }
    for side in ("encoder", "decoder"):
        for ours, kind in (("input", "ih"), ("hidden", "hh")):
            weights[f"{side}.weight_{kind}_l0"] = parameters[f"{side}.{ours}"].T
            weights[f"{side}.bias_{kind}_l0"] = parameters[f"{side}.{ours} bias"][0]
    if numbers:
        weights["narrow.weight"] = parameters["narrow"][:, :numbers].T
        weights["widen.weight"] = parameters["widen"][:numbers].T
        weights["widen.bias"] = parameters["widen bias"][0]
    if "mix" in parameters:
        weights |= {"mix.weight": parameters["mix"].T, "mix.bias": parameters["mix bias"][0]}
        weights["W_a"] = parameters["query"]
    if "shrink" in parameters:
        weights |= {"shrink.weight": parameters["shrink"].T, "grow.weight": parameters["grow"].T}
        weights["grow.bias"] = parameters["grow bias"][0]
    assert copier.load_state_dict(weights, strict=False).missing_keys == []


MODELS = {
    "k = 8": (Network(numbers=8), lambda page: page["Copier"](8)),
    "stronger": (Network(numbers=8, memory="vector"), lambda page: page["StrongerCopier"](8)),
    "RNN": (Network(cell="rnn"), lambda page: page["copier_of"](nn.RNN)),
    "RNN, reversed": (
        Network(cell="rnn", reversed_source=True),
        lambda page: page["copier_of"](nn.RNN, page["BackwardsCopier"]),
    ),
    "leaky": (Network(cell="half rnn"), lambda page: page["copier_of"](page["LeakyRNN"])),
    "half kept": (Network(cell="half gru"), lambda page: page["copier_of"](page["HalfKeptGRU"])),
    "attention": (Network(memory="states"), lambda page: page["AttentiveCopier"]()),
    "48 scored": (Network(memory="small values"), lambda page: page["SmallMemory"](False)),
    "6 scored": (Network(memory="small states"), lambda page: page["SmallMemory"](True)),
}


@pytest.mark.parametrize(("network", "make"), MODELS.values(), ids=MODELS)
def test_the_models_of_the_page_are_those_of_the_benchmark(network, make):
    stack = Stack([network], [2])
    copier = make(page())
    with torch.no_grad():
        load_from_benchmark(copier, of_one(stack, 0), network.numbers)
        if network.cell == "half gru":  # the benchmark ignores these weights
            for weights in (*copier.encoder.parameters(), *copier.decoder.parameters()):
                weights.copy_(page()["without_update_gate"](weights))
    read_in_order, as_read = batch([2]), batch([2], [network.reversed_source])
    expected = stack.logits(as_read)[0]
    logits, _ = copier(read_in_order.inputs[0], copier.begin(read_in_order.source[0]))
    assert torch.allclose(logits, expected, atol=1e-5)

    targets = read_in_order.targets[0]
    F.cross_entropy(expected.flatten(0, 1), targets.flatten()).backward()
    F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    gradient = stack.parameters["encoder.hidden"].grad[0].T
    assert gradient.abs().max() > 0
    assert torch.allclose(copier.encoder.weight_hh_l0.grad, gradient, atol=1e-6)


def test_no_more_than_k_numbers_reach_the_decoder():
    stack = Stack([Network(numbers=2), Network(numbers=WIDEST)], [0, 0])
    strings = batch([0, 0])
    before = stack.logits(strings)
    numbers = frozen_vectors(stack, strings)
    assert numbers[0, :, 2:].abs().max() == 0 and numbers[1].abs().min() > 0
    with torch.no_grad():
        stack.parameters["narrow"][:, :, 2:] += 1.0
        stack.parameters["widen"][:, 2:] += 1.0
    after = stack.logits(strings)
    assert torch.equal(before[0], after[0]) and not torch.allclose(before[1], after[1])
    open_ones = count_parameters(Network(numbers=WIDEST)) - count_parameters(Network(numbers=2))
    assert open_ones == 2 * WIDTH * (WIDEST - 2)


def test_networks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="same cell"):
        Stack([Network(), Network(numbers=4)], [0, 0])
    with pytest.raises(ValueError, match=f"from 1 to {WIDEST}"):
        Network(numbers=0)
    for memory in ("states", "small values", "small states"):
        with pytest.raises(ValueError, match="must be None"):
            Network(numbers=4, memory=memory)


def test_strings_are_copied_and_may_be_read_from_the_end():
    strings = batch([0, 0], [False, True])
    assert torch.equal(strings.source[0].flip(-1), strings.source[1])
    assert (strings.inputs[..., 0] == BOS).all() and (strings.targets[..., -1] == EOS).all()
    assert torch.equal(strings.inputs[..., 1:], strings.targets[..., :-1])
    assert torch.equal(strings.source[0], strings.targets[0, :, :-1])


def test_strings_depend_on_seed_and_step_and_measurements_on_the_split():
    first, again, other = (training_letters([s], 3, batch_size=4) for s in (0, 0, 1))
    assert torch.equal(first, again) and first.shape == other.shape
    assert not torch.equal(first, other)
    lengths = {training_letters([0], step, batch_size=1).shape[-1] for step in range(60)}
    assert lengths == set(range(1, LONGEST + 1))
    splits = [measured_letters(split, 5) for split in (SELECTION, REPORTING)]
    assert splits[0].shape == (NUM_STRINGS, 5) and not torch.equal(*splits)
    ids = set(measured_letters(REPORTING, LONGEST).flatten().tolist())
    assert ids == set(range(len(SPECIAL_TOKENS), VOCAB_SIZE)) and len(ids) == LETTERS


def test_a_network_learns_the_same_alone_and_in_a_stack():
    networks = [Network(numbers=2), Network(numbers=8, reversed_source=True)]
    rates, seeds = [0.01, 0.02], [0, 4]
    together = train(networks, rates=rates, seeds=seeds, steps=4)
    for i in range(2):
        alone = train(networks[i : i + 1], rates=rates[i : i + 1], seeds=seeds[i : i + 1], steps=4)
        start = Stack(networks[i : i + 1], seeds[i : i + 1])
        for name, parameter in alone.parameters.items():
            assert torch.allclose(parameter[0], together.parameters[name][i], atol=1e-5), name
        moved = (alone.parameters["output"] - start.parameters["output"]).abs().max()
        assert moved > rates[i] / 10


def test_steps_are_those_of_adam_with_each_network_clipped_by_itself():
    torch.manual_seed(0)
    targets = [torch.randn(5, 3) for _ in range(2)]
    scales = (30.0, 0.01)  # only the first is clipped
    stacked = torch.zeros(2, 5, 3, requires_grad=True)

    def loss(step):
        return sum(
            s * ((stacked[i] - t) ** 2).sum()
            for i, (s, t) in enumerate(zip(scales, targets, strict=True))
        )

    rates, steps = [0.1, 0.02], 12
    minimize({"x": stacked}, loss, rates=rates, steps=steps)
    plan = TrainConfig(steps=steps, learning_rate=1.0, warmup_fraction=0.1)
    for i in range(2):
        single = torch.zeros(5, 3, requires_grad=True)
        optimizer = torch.optim.Adam([single], betas=(0.9, 0.98), eps=1e-8)
        for step in range(steps):
            optimizer.zero_grad()
            (scales[i] * ((single - targets[i]) ** 2).sum()).backward()
            nn.utils.clip_grad_norm_([single], 1.0)
            optimizer.param_groups[0]["lr"] = rates[i] * learning_rate_at(plan, step)
            optimizer.step()
        assert torch.allclose(stacked[i], single, atol=1e-5), i


def test_bits_read_are_those_of_the_string_less_the_loss():
    letters = measured_letters(REPORTING, 3)[None] - len(SPECIAL_TOKENS)  # (1, B, 3)
    perfect = 50.0 * F.one_hot(letters, LETTERS)
    assert bits_read(perfect, letters).item() == pytest.approx(3 * LETTER_BITS)
    assert bits_read(0 * perfect, letters).item() == pytest.approx(0, abs=1e-9)
    logits = torch.randn(1, NUM_STRINGS, 3, LETTERS)
    loss = F.cross_entropy(logits.flatten(0, 2), letters.flatten(), reduction="sum") / NUM_STRINGS
    expected = 3 * LETTER_BITS - float(loss) / math.log(2)
    assert bits_read(logits, letters).item() == pytest.approx(expected, abs=1e-4)


def test_a_string_is_exact_only_with_its_end():
    strings = make_strings(measured_letters(REPORTING, 4)[None], [False])
    logits = 9.0 * F.one_hot(strings.targets, VOCAB_SIZE)
    assert read(logits, strings.targets).exact.item() == 1
    logits[0, 0, 1] = logits[0, 0, 1].roll(1)  # a wrong second letter
    logits[0, 1, -1] = logits[0, 1, -1].roll(1)  # no EOS
    reading = read(logits, strings.targets)
    assert reading.exact.item() == pytest.approx(1 - 2 / NUM_STRINGS)
    expected = [1, 1 - 1 / NUM_STRINGS, 1, 1]
    assert reading.by_position[0].tolist() == pytest.approx(expected)


def test_bits_not_read_are_a_mean_over_lengths():
    def reading(*bits):
        return CopyScores(torch.tensor(bits), torch.zeros(2), torch.zeros(2, 1))

    by_length = {1: reading(4.0, 3.0), 2: reading(6.0, 8.0)}
    assert bits_not_read(by_length) == pytest.approx([(0 + 2) / 2, (1 + 0) / 2])


@pytest.mark.parametrize("reader", NEW_DECODERS.values(), ids=NEW_DECODERS)
def test_readers_learn_and_leave_the_encoder_alone(reader):
    encoders = Stack([Network(numbers=8), Network(numbers=WIDEST)], [0, 1])
    before = {name: x.clone() for name, x in encoders.parameters.items()}
    first = train_new_decoders(reader, encoders, rates=[1e-6, 1e-6], steps=1)
    after = train_new_decoders(reader, encoders, rates=[0.05, 0.05], steps=60)
    for (unread_first, _), (unread, _) in zip(first, after, strict=True):
        assert unread < unread_first - 0.5
    assert all(torch.equal(before[name], x) for name, x in encoders.parameters.items())


@pytest.mark.parametrize("reader", NEW_DECODERS.values(), ids=NEW_DECODERS)
def test_readers_are_trained_and_selected_on_strings_of_their_lengths(reader, monkeypatch):
    calls = record_calls(monkeypatch, readers, "training_letters")
    measured = record_calls(monkeypatch, readers, "copy_scores_by_length")
    encoders = Stack([Network(numbers=8)], [3])
    ((unread, longest),) = train_new_decoders(reader, encoders, rates=[0.01], steps=40)
    lengths = {call.shape[-1] for _, call in calls}
    expected = {LONGEST} if reader.longest_only else set(range(1, LONGEST + 1))
    assert lengths == expected == set(reader.lengths)
    (_, selection), (_, reporting) = measured
    assert set(selection) == expected and set(reporting) == {LONGEST}
    assert unread == bits_not_read(selection)[0]
    assert longest == pytest.approx(reporting[LONGEST].bits.item())


def test_a_new_plain_decoder_reads_as_the_encoders_own_would():
    encoders = Stack([Network(numbers=8)], [3])
    decoder = Stack([Network(numbers=8)], [3 + NEW_SEED])
    ((_, bits),) = train_new_decoders(NewDecoder(), encoders, rates=[0.0], steps=1)
    strings = make_strings(measured_letters(REPORTING, LONGEST)[None], [False])
    for name, parameter in encoders.parameters.items():
        if name.startswith(("encoder", "narrow")):
            decoder.parameters[name] = parameter
    expected = read(decoder.logits(strings), strings.targets).bits.item()
    assert bits == pytest.approx(expected, abs=1e-4)


def test_selected_networks_are_copies():
    stack = Stack([Network(numbers=k) for k in (2, 8, 32)], [0, 1, 2])
    chosen = stack.select([2, 0])
    strings = batch([0, 0])
    three = make_strings(strings.targets[:1, :, :-1].expand(3, -1, -1), [False] * 3)
    assert torch.equal(
        frozen_vectors(chosen, make_strings(three.source[:2], [False] * 2))[1],
        frozen_vectors(stack, three)[0],
    )
    assert chosen.seeds == [2, 0] and [n.numbers for n in chosen.networks] == [32, 2]


def test_the_grid_is_complete_and_arms_of_a_part_differ_in_what_they_name():
    assert len(PARTS["grid"]) == 9
    assert len({(arm.network.numbers, arm.steps) for arm in PARTS["grid"].values()}) == 9
    for part in ("decoders", "memories", "order"):
        assert {arm.steps for arm in PARTS[part].values()} == {500}
    assert {(a.network.cell, a.network.reversed_source) for a in PARTS["order"].values()} == {
        (cell, turned) for cell in ("rnn", "gru") for turned in (False, True)
    }


def test_a_rate_is_chosen_by_the_mean_over_the_tuning_seeds(tmp_path):
    unread = {0.01: (9, 9), 0.02: (1, 9), 0.04: (4, 4), 0.08: (9, 9)}

    def run_all(runs):
        trials = [(rate, TUNING_SEEDS.index(seed)) for _, rate, seed in runs]
        return [{"bits not read": unread[rate][i]} for rate, i in trials]

    rows = result_files.SeedRows(
        tmp_path / "rows.json", result_files.Run.start("bottleneck", []), part="a", origin="real"
    )
    settings = {"GRU": {"optimizer": "Adam", "steps": 1}}
    costs = {"GRU": {"parameters": 1, "tokens": 1}}
    tuning = comparison.Comparison(rows, rows, settings=settings, costs=costs, run_all=run_all)
    assert tuning.tune([0.01, 0.02, 0.04]) == {"GRU": {0.01: 9, 0.02: 5, 0.04: 4, 0.08: 9}}


@pytest.fixture
def short(monkeypatch):
    """Arms of four steps, and readers of two."""
    arms = {f"{k} numbers, 4 steps": Recipe(Network(numbers=k), 4) for k in (2, 8, 32)}
    monkeypatch.setattr(command, "PARTS", {"grid": arms})
    monkeypatch.setattr(command, "FIRST_RATES", (0.01, 0.02))
    monkeypatch.setattr(comparison, "next_rate", lambda scores: None)
    monkeypatch.setattr(command, "ENCODER_STEPS", 4)
    monkeypatch.setattr(command, "NEW_DECODER_STEPS", 2)


def test_the_command_stores_trials_and_seeds_and_goes_on_where_it_stopped(run, short, monkeypatch):
    calls = record_calls(monkeypatch, command, "train")
    content = run("bottleneck", "grid", "--seeds", 0, 2)
    rows = {row.key: row for row in map(StoredRow.from_stored, content["rows"])}
    arms = list(command.PARTS["grid"])
    assert len(calls) == 2 and len(rows) == 3 * 2 * len(TUNING_SEEDS) + 3 * 2
    for arm in arms:
        scores = {}
        for rate in (0.01, 0.02):
            trials = (rows["grid, trials", f"{arm}, rate {rate:g}", s] for s in TUNING_SEEDS)
            scores[rate] = sum(trial.figures["bits not read"] for trial in trials)
        row = rows["grid", arm, 2]
        assert row.settings["learning_rate"] == min(scores, key=scores.get)
        assert row.settings["grid"] == [0.01, 0.02] and row.settings["steps"] == 4
        assert row.costs["tokens"] == round(4 * 32 * (LONGEST / 2 + 1.5))
        assert len(row.figures["bits read"]) == len(row.figures["exact"]) == LONGEST + 4
        longest = row.figures["bits read of the longest"]
        assert longest == row.figures["bits read"][LONGEST - 1]
    run("bottleneck", "grid", "--seeds", 0, 1, 2)
    assert len(calls) == 3, "seed 1 alone was missing"
    with pytest.raises(SystemExit):
        run("bottleneck", "grids")


def test_readers_read_the_vectors_of_the_tuned_encoders(run, short, monkeypatch):
    calls = record_calls(monkeypatch, command, "train")
    trainings = record_calls(monkeypatch, command, "train_new_decoders")
    content = run("bottleneck", "readers", "--seeds", 0)
    rows = [StoredRow.from_stored(entry) for entry in content["rows"]]
    runs = [row for row in rows if row.part == "readers"]
    assert {row.arm for row in runs} == set(NEW_DECODERS) and {row.seed for row in runs} == {0}
    encoders = calls[-1][1]
    assert encoders.seeds == [*TUNING_SEEDS, 0]
    assert {network.numbers for network in encoders.networks} == {command.READ_NUMBERS}
    for (reader, read_encoders), _ in trainings:
        network, seed = read_encoders.networks[0], read_encoders.seeds[0]
        drawn = initial_parameters(network, seed)["encoder.input"]
        is_drawn = torch.equal(read_encoders.parameters["encoder.input"][0], drawn)
        assert is_drawn != reader.trained_encoder
    for row in runs:
        is_untrained = "untrained" in row.arm
        assert row.settings["encoder steps"] == (0 if is_untrained else 4)
        assert row.settings["memory"] == ("vector" if "stronger" in row.arm else "start")
        assert row.settings["longest_only"] == row.arm.endswith("8 letters only")
        assert row.figures["bits read of the longest"] <= LONGEST * LETTER_BITS


@pytest.mark.parametrize(("cell", "whole"), [("half rnn", "rnn"), ("half gru", "gru")])
def test_half_of_the_state_is_kept(cell, whole):
    stack = Stack([Network(cell=cell)], [0])
    plain = Stack([Network(cell=whole)], [0])
    size = stack.parameters["encoder.hidden"].shape[-1]
    x, update, state = torch.randn(1, 4, size), torch.randn(1, 4, size), torch.randn(1, 4, WIDTH)
    if cell == "half gru":  # an update gate whose sum is zero is one half
        x[..., WIDTH : 2 * WIDTH] = -update[..., WIDTH : 2 * WIDTH]
        expected = plain._step(x, update, state)
    else:
        expected = (state + plain._step(x, update, state)) / 2
    assert torch.allclose(stack._step(x, update, state), expected, atol=1e-6)
    if cell == "half gru":  # and stays one half, whatever is read
        x[..., WIDTH : 2 * WIDTH] += 5
        assert torch.allclose(stack._step(x, update, state), expected, atol=1e-6)


def test_the_wide_rnn_has_the_parameters_of_the_gru():
    wide, gru = (count_parameters(Network(cell=c, width=w)) for c, w in (("rnn", 81), ("gru", 48)))
    assert abs(wide / gru - 1) < 0.02
