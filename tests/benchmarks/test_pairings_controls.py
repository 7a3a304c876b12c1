"""Controls of section 3.2: edits of answers, groups by place, and the command."""

import pytest

from benchmarks import tuning
from benchmarks.pairings import controls, whole_answers
from benchmarks.pairings.parts import ARMS, ONE_LAYER
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import BATCH_SIZE
from utils.notebook.seed_results import StoredRow


@pytest.fixture(scope="module")
def task():
    return Task.make()


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

    for name in ("run_answers", "run_trial"):
        monkeypatch.setattr(controls, name, few_steps(getattr(controls, name)))
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rate: score(rate) for rate in rates})
    monkeypatch.setattr(controls, "OTHER_STEPS", {(ONE_LAYER, 1500): (0.004, 0.008)})
    content = run("pairings.controls", "--seeds", 0)
    rows = {row.key: row for row in map(StoredRow.from_stored, content["rows"])}
    parts = [part for part, _, _ in rows]
    assert parts.count("answers") == 2
    assert parts.count("steps") == 1 and parts.count("steps, trials") == 2
    trials = [key for key in rows if key[0] == "steps, trials"]
    best = min(trials, key=lambda key: rows[key].figures["score"])
    chosen = rows["steps", f"{ONE_LAYER}, 1500 steps", 0].settings
    assert chosen["learning_rate"] == rows[best].settings["learning_rate"]
    assert chosen["grid"] == [0.004, 0.008] and chosen["steps"] == 1500
    done = len(calls)
    run("pairings.controls", "answers", "--seeds", 0)
    assert len(calls) == done, "nothing was missing"
    with pytest.raises(SystemExit):
        run("pairings.controls", "none")
