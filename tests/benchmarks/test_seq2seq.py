"""The LSTM translator of section 5.2: rows, losses by position, and searches kept as trees."""

import dataclasses

import pytest
import torch

from benchmarks import tuning
from benchmarks.seq2seq import __main__ as command
from benchmarks.seq2seq import measures, search, training
from benchmarks.seq2seq.control import NoSource
from benchmarks.seq2seq.measures import POSITIONS, bleu_by_fifth, losses_by_position
from benchmarks.seq2seq.search import search_tree
from benchmarks.seq2seq.task import LONG, LONG_NO_SOURCE, NO_SOURCE, ORDERS, TUNING_SEEDS, Task
from tests.helpers.benchmark_runs import record_calls, token_losses
from utils.data.vocabulary import BOS, EOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.metrics.text import bleu
from utils.models.encoder_decoder import lstm_seq2seq
from utils.runtime import seed_everything

V = 9


@pytest.fixture
def wild():
    """An untrained model whose distributions are far from uniform."""
    seed_everything(0)
    model = lstm_seq2seq(V, width=8, num_layers=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.decoder.output.bias[EOS] += 3  # answers end
    return model


def pairs(count, generator):
    """Random pairs of ids of several lengths."""
    lengths = torch.randint(1, 6, (count, 2), generator=generator).tolist()
    return [
        tuple(torch.randint(4, V, (n,), generator=generator).tolist() for n in row)
        for row in lengths
    ]


def test_losses_by_position_are_means_of_the_losses_of_single_sentences(wild):
    some = pairs(30, torch.Generator().manual_seed(1))
    single = [
        token_losses(wild, torch.tensor([BOS, *target, EOS]), torch.tensor(source))
        for source, target in some
    ]
    by_position, mean = losses_by_position(wild, some)
    assert mean == pytest.approx(float(torch.cat(single).mean()), rel=1e-5)
    assert len(by_position) == 6 < POSITIONS
    for t, loss in enumerate(by_position):
        expected = torch.stack([losses[t] for losses in single if len(losses) > t]).mean()
        assert loss == pytest.approx(float(expected), rel=1e-5)


def best_answer(steps):
    """The most probable answer of a tree with its log p, by going through all of its paths."""
    answers = []
    beginnings = [()]
    for step in steps:
        continued = [((*beginnings[e["parent"]], e["token"]), e) for e in step]
        answers += [(e["log_prob"], ids) for ids, e in continued if e["ended"]]
        beginnings = [ids for ids, e in continued if not e["ended"]]
    return max(answers)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_tree_holds_the_answer_of_beam_search(wild, size, monkeypatch):
    monkeypatch.setattr(search, "MAX_LENGTH", 30)
    found = 0
    for source, _ in pairs(20, torch.Generator().manual_seed(2)):
        ids = torch.tensor([source])
        beam = BeamConfig(size, length_penalty=0.0, num_hypotheses=1)
        prompt = torch.tensor([[BOS]])
        ((best,),) = beam_search(wild, prompt, wild.begin(ids), beam=beam, max_length=30)
        steps = search_tree(wild, ids, size)
        kept = [[e for e in step if not e["ended"]] for step in steps]
        assert all(len(step) == size for step in kept)
        if len(best.ids) < 30:  # it has ended by itself
            log_prob, answer = best_answer(steps)
            assert list(answer) == [*best.ids, EOS]
            assert log_prob == pytest.approx(best.log_prob, abs=1e-4)
            assert search._best(steps) == (list(answer), log_prob)
            found += 1
    assert found > 5


def test_bleu_of_the_shortest_sources_comes_first():
    texts = [f"a man number {i} is in the park" for i in range(10)]
    answers = [*texts[:2], *["nothing is right here"] * 8]
    rows = bleu_by_fifth(answers, texts, [2, 1, *range(5, 13)])
    assert [row["length"] for row in rows] == [1.5, 5.5, 7.5, 9.5, 11.5]
    assert rows[0]["BLEU"] == pytest.approx(100)
    assert rows[4]["BLEU"] == pytest.approx(bleu(answers[8:], texts[8:]))


def test_only_the_order_of_the_source_differs():
    reversed_source, as_written = (ORDERS[name] for name in ("reversed", "as written"))
    assert dataclasses.replace(as_written, is_reversed=True) == reversed_source
    assert not as_written.is_reversed


def test_only_the_source_is_missing_in_the_controls():
    assert dataclasses.replace(NO_SOURCE, has_source=True) == ORDERS["reversed"]
    assert dataclasses.replace(LONG_NO_SOURCE, has_source=True) == LONG
    settings = NO_SOURCE.settings(0.1, [0.1])
    assert settings.pop("source") == "one EOS"
    assert settings == ORDERS["reversed"].settings(0.1, [0.1])


def test_a_model_without_a_source_reads_one_eos_instead(wild):
    ids = torch.tensor([[BOS, 5, 6], [BOS, 7, 8]])
    sources = torch.tensor([[4, 5, 6, 7], [8, 7, 6, 5]])
    of_eos, _ = wild(ids, wild.begin(torch.tensor([[EOS], [EOS]])))
    with_source, _ = wild(ids, wild.begin(sources))
    wild.encoder = NoSource(wild.encoder)
    without, _ = wild(ids, wild.begin(sources))
    assert torch.equal(without, of_eos)
    assert not torch.allclose(without, with_source, atol=0.01)


@pytest.fixture
def short(monkeypatch):
    """A few steps of small models, and one trial of each rate."""
    small = {"steps": 4, "width": 8, "batch_size": 8, "validations": 2}
    orders = {name: dataclasses.replace(recipe, **small) for name, recipe in ORDERS.items()}
    long = dataclasses.replace(LONG, **small | {"steps": 5})
    monkeypatch.setattr(command, "ORDERS", orders)
    monkeypatch.setattr(command, "NO_SOURCE", dataclasses.replace(NO_SOURCE, **small))
    no_source = dataclasses.replace(long, has_source=False)
    monkeypatch.setattr(command, "LONG_NO_SOURCE", no_source)
    for module in (command, training, measures):
        monkeypatch.setattr(module, "LONG", long)
    monkeypatch.setattr(measures, "MAX_LENGTH", 6)
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rate: score(rate) for rate in rates})


def test_the_command_writes_trials_runs_controls_and_the_long_runs(run, short, monkeypatch):
    trained = record_calls(monkeypatch, training, "fit")
    rows = run("seq2seq", "--seeds", 3, 4, 5)["rows"]
    by_key = {(row["part"], row["arm"], row["seed"]): row for row in rows}
    assert len([key for key in by_key if key[0] == "order, trials"]) == 6 * len(TUNING_SEEDS)
    task = Task.load()
    for name in ORDERS:
        trials = {
            row["settings"]["learning_rate"]: row["figures"]["validation loss"]
            for (part, arm, _), row in by_key.items()
            if part == "order, trials" and arm.startswith(name)
        }
        for seed in (3, 4, 5):
            row = by_key["order", name, seed]
            assert row["settings"]["learning_rate"] == min(trials, key=trials.get)
            assert row["settings"]["grid"] == sorted(trials)
            assert row["settings"]["reversed source"] == (name == "reversed")
            assert [point["step"] for point in row["figures"]["curve"]] == [2, 4]
            assert len(row["figures"]["BLEU by fifth"]) == 5
            assert "greedy" not in row["figures"]
    assert len([key for key in by_key if key[0] == "control, trials"]) == 3 * len(TUNING_SEEDS)
    for seed in (3, 4, 5):
        row = by_key["control", "no source", seed]
        assert row["settings"]["source"] == "one EOS"
        assert row["settings"]["grid"] == by_key["order", "reversed", seed]["settings"]["grid"]
        assert len(row["figures"]["loss by position"]) > 0 and "greedy" not in row["figures"]
    without = by_key["long", "no source", 0]
    assert without["settings"]["source"] == "one EOS" and "greedy" not in without["figures"]
    long = by_key["long", "LSTM", 0]["figures"]
    assert len(long["greedy"]) == len(long["beam"]) == len(task.texts["test"])
    assert "searches" in long
    sources = [stream.pairs[0][0] for (_, stream, _), _ in trained]
    first = task.ids["train"][0][0]
    assert sources.count(first) == 6  # 3 trials, 3 seeds
    assert sources.count(first[::-1]) == 6 + 6 + 2  # the same with a source and without; long


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("seq2seq", "ordre")
    assert "there are order, control, long" in capsys.readouterr().err
