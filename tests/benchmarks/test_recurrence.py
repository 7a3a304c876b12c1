"""A GPT beside recurrent networks: its start, its window and its rows."""

import dataclasses

import torch
from torch import nn

from benchmarks import recurrence
from benchmarks.memory.networks import BlockLM
from benchmarks.memory.training import CONTEXT_LENGTH
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything


def test_the_gpt_is_no_larger_than_the_blocks_and_starts_at_their_scale():
    seed_everything(0)
    gpt = recurrence.ARMS["GPT"].build(69)
    blocks = BlockLM(69, cell="mingru", width=43)
    assert abs(count_parameters(gpt) / count_parameters(blocks) - 1) < 0.02
    width = gpt.embedding.embedding_dim
    scale = width**-0.5
    matrices = [module for module in gpt.layers.modules() if isinstance(module, nn.Linear)]
    assert len(matrices) >= 2 * 4
    for matrix in matrices:
        bound = matrix.in_features**-0.5  # of torch's uniform start
        assert 0.9 * bound < matrix.weight.abs().max() <= bound
    assert 0.9 * scale < gpt.embedding.weight.std() < 1.1 * scale


def test_a_layer_attends_to_the_window_from_call_to_call():
    seed_everything(0)
    gpt = recurrence.build_gpt(20, width=8, num_layers=1)
    ids = torch.randint(20, (1, CONTEXT_LENGTH + 6))
    with torch.no_grad():
        at_once = gpt(ids)[0][:, -1]
        _, state = gpt(ids[:, :-1])
        assert torch.allclose(gpt(ids[:, -1:], state)[0][:, -1], at_once, atol=1e-5)
        changed = ids.clone()
        changed[0, 5] = (ids[0, 5] + 1) % 20  # the last place before the window of the last one
        assert torch.allclose(gpt(changed)[0][:, -1], at_once, atol=1e-6)
        changed[0, 6] = (ids[0, 6] + 1) % 20
        assert not torch.allclose(gpt(changed)[0][:, -1], at_once, atol=1e-6)


def test_the_command_writes_trials_and_runs(run, monkeypatch):
    short = dataclasses.replace(recurrence.ARMS["GPT"], steps=3)
    monkeypatch.setitem(recurrence.ARMS, "GPT", short)
    monkeypatch.setattr("benchmarks.memory.__main__.tune", lambda score, rates: {0.1: score(0.1)})
    rows = run("recurrence", "--seeds", 0)["rows"]
    (measured,) = (row for row in rows if row["part"] == "characters")
    assert measured["arm"] == "GPT" and measured["seed"] == 0
    assert measured["figures"].keys() >= {"bits", "gradient at the start", "gradient at the end"}
    trials = [row for row in rows if row["part"] == "characters, trials"]
    assert {row["seed"] for row in trials} == set(short.tuning_seeds)
