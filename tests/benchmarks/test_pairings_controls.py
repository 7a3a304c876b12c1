"""Controls of section 3.2: frozen encoders, edits of answers, groups by place, and the command."""

from functools import partial

import pytest
import torch

from benchmarks import tuning
from benchmarks.pairings import controls, swaps, whole_answers
from benchmarks.pairings.measures import exact_share
from benchmarks.pairings.parts import ARMS, ONE_LAYER
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import BATCH_SIZE
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.notebook.seed_results import StoredRow


@pytest.fixture(scope="module")
def task():
    return Task.make()


@pytest.mark.parametrize("donor, receiver", swaps.SWAPS.values(), ids=list(swaps.SWAPS))
def test_a_new_decoder_is_trained_on_the_frozen_encoder_of_the_donor(task, donor, receiver):
    first, second = swaps.train_swapped(ARMS[donor], ARMS[receiver], task, seed=3, steps=2)
    again, _ = swaps.train_swapped(ARMS[donor], ARMS[receiver], task, seed=3, steps=2)
    inner = [
        model.encoder.encoder if isinstance(model.encoder, FixedVectorEncoder) else model.encoder
        for model in (first, second)
    ]
    assert inner[0] is inner[1], "the encoder itself, not a copy"
    assert not any(parameter.requires_grad for parameter in inner[1].parameters())
    assert all(parameter.requires_grad for parameter in second.decoder.parameters())
    for kept, trained in zip(inner[1].parameters(), again.encoder.parameters(), strict=True):
        assert torch.equal(kept, trained), "as the donor's training left it"
    assert isinstance(second.encoder, FixedVectorEncoder) == ARMS[receiver].has_one_vector
    assert type(second.decoder) is type(ARMS[receiver].build(task.vocab_size).decoder)
    tables = [model.decoder.embedding.weight for model in (first, second)]
    assert tables[0].shape != tables[1].shape or not torch.equal(*tables)


def test_edits_are_counted_in_words(task, monkeypatch):
    pairs = task.reporting[:3]
    written = [list(target) for _, target in pairs]
    written[0] = written[0][:-1]  # one word is missing
    written[1] = [*written[1], written[1][0]]  # one word too many
    monkeypatch.setattr(whole_answers, "answers", lambda model, pairs: written)
    figures = whole_answers.edit_figures(None, task, pairs)
    words = sum(len(target) for _, target in pairs)
    assert figures == {"edits": 2, "words": words, "wrong": 2}


def test_wrong_words_are_grouped_by_what_follows(task):
    items = task.planted()
    groups = whole_answers.by_words_left(items)
    assert list(groups) == [1, 2, 3, 4, 5] and sum(map(len, groups.values())) == len(items)
    for left, group in groups.items():
        assert all(len(item.pair[1][item.position + 1 :]) == left for item in group)


def test_whole_answers_are_measured_and_groups_add_up(task):
    arm = ARMS["scheduled sampling"]
    figures, costs = whole_answers.run_answers(arm, task, seed=2, steps=30)
    plain, _ = whole_answers.run_answers(ARMS[ONE_LAYER], task, seed=2, steps=30)
    assert figures["edits"] != plain["edits"]
    assert figures["wrong"] == round((1 - figures["exact"]) * len(task.reporting))
    for name in ("planted", "same kind"):
        groups = figures["by words left"][name].values()
        for key in ("items", "true", "wrong"):
            assert sum(group[key] for group in groups) == figures[f"{name}, {key}"]
    assert costs["tokens"] > 30 * BATCH_SIZE


def test_the_command_runs_its_parts_and_goes_on_where_it_stopped(run, task, monkeypatch):
    calls = []

    def few_steps(function):
        def short(*arguments, **options):
            calls.append(options)
            return function(*arguments, **options | {"steps": 1})

        return short

    for name in ("run_swap", "run_answers", "run_trial"):
        monkeypatch.setattr(controls, name, few_steps(getattr(controls, name)))
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rate: score(rate) for rate in rates})
    monkeypatch.setattr(controls, "OTHER_STEPS", {(ONE_LAYER, 1500): (0.004, 0.008)})
    content = run("pairings.controls", "--seeds", 0)
    rows = {row.key: row for row in map(StoredRow.from_stored, content["rows"])}
    parts = [part for part, _, _ in rows]
    assert parts.count("swaps") == 3 and parts.count("answers") == 2
    assert parts.count("steps") == 1 and parts.count("steps, trials") == 2
    trials = [key for key in rows if key[0] == "steps, trials"]
    best = min(trials, key=lambda key: rows[key].figures["score"])
    chosen = rows["steps", f"{ONE_LAYER}, 1500 steps", 0].settings
    assert chosen["learning_rate"] == rows[best].settings["learning_rate"]
    assert chosen["grid"] == [0.004, 0.008] and chosen["steps"] == 1500
    done = len(calls)
    run("pairings.controls", "swaps", "--seeds", 0)
    assert len(calls) == done, "nothing was missing"
    with pytest.raises(SystemExit):
        run("pairings.controls", "none")


def test_the_donor_of_a_swap_is_the_arm_of_the_first_comparison(task):
    run_few = partial(swaps.run_swap, steps=2)
    figures, _ = run_few(ARMS[ONE_LAYER], ARMS[ONE_LAYER], task, seed=1)
    donor, new = swaps.train_swapped(ARMS[ONE_LAYER], ARMS[ONE_LAYER], task, seed=1, steps=2)
    assert figures["exact, donor"] == exact_share(donor, task.reporting)
    assert figures["exact"] == exact_share(new, task.reporting)
