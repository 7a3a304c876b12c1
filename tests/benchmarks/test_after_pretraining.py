"""After pretraining: the lift and its checker, splits, and the arms at a small size."""

import copy
import dataclasses
import random

import pytest
import torch

from benchmarks.after_pretraining import __main__ as command
from benchmarks.after_pretraining import measure, models, parts, rewards, task
from utils.data.batches import IGNORE_INDEX
from utils.data.vocabulary import EOS
from utils.runtime import seed_everything


def test_the_lift_stops_at_the_top_and_at_the_bottom():
    assert task.floors("uuwdudwu") == "12212112"
    assert task.floors("uuuuuudd") == "12344432"
    assert task.floors("dddduddd") == "00001000"


def test_only_the_result_is_checked_and_it_must_end_the_answer():
    ride = "uuwdudwu"
    right = ("=2", "12212112=2", "00000000=2")
    wrong = ("=1", "2", "=2…", "12212112", "=22", "=2 ", "12212112=2=2")
    assert all(task.right_reward(ride, answer) for answer in right)
    assert not any(task.right_reward(ride, answer) for answer in wrong)
    assert [task.working_reward(ride, answer) for answer in right] == [0, 1, 0]
    assert [task.is_worked(answer) for answer in right] == [False, True, True]


def test_the_reward_of_length_does_not_pay_for_the_mark_of_a_cut_answer():
    assert task.length_reward("uuwdudwu", "12212112=2") == pytest.approx(1)
    assert task.length_reward("uuwdudwu", "12212112=2…") == pytest.approx(1)


def test_slips_carry_on_and_only_with_a_generator(monkeypatch):
    monkeypatch.setattr(task, "SLIP_RATE", 1.0)
    assert task.floors("wwwwwwww") == "00000000"
    assert task.floors("wwwwwwww", random.Random(0)) != "00000000"
    monkeypatch.setattr(task, "SLIP_RATE", 0.08)
    drawn = [task.floors("wwwwwwww", random.Random(seed)) for seed in range(300)]
    kept = sum(row[-1] == row[-2] for row in drawn) / len(drawn)
    assert 0.85 < kept < 0.99


def test_splits_do_not_overlap_and_pretraining_has_its_own():
    rng = random.Random(0)
    rides = {
        line[: task.NUM_MOVES]
        for line in (task.pretraining_line(rng) for _ in range(400))
        if "=" in line
    }
    assert rides and {task.split_of(ride) for ride in rides} == {"pretraining"}
    shown = {ride for ride, _ in task.demonstrations("mixed", 100, seed=0)}
    assert {task.split_of(ride) for ride in shown} == {"tuning"}
    for split in ("selection", "reporting"):
        asked = task.questions(split, 100)
        assert len(set(asked)) == 100 and {task.split_of(ride) for ride in asked} == {split}


def test_demonstrations_are_right_and_of_their_style():
    for style, is_worked in (("worked", {True}), ("short", {False}), ("mixed", {True, False})):
        pairs = task.demonstrations(style, 60, seed=1)
        assert all(task.right_reward(*pair) for pair in pairs)
        assert {answer.find("=") > 0 for _, answer in pairs} == is_worked
    (ride, answer), *_ = task.demonstrations("filler", 1, seed=1)
    assert answer == f"........={task.floors(ride)[-1]}"


def test_sentences_for_the_loss_are_not_trained_on():
    assert not set(task.HELD_OUT_SENTENCES) & set(task.TRAIN_SENTENCES)


def test_the_loss_counts_answers_only():
    batch = task.question_batch([("uuwdudwu", "=2")])
    counted = batch.targets[batch.targets != IGNORE_INDEX].tolist()
    assert counted == [*task.TOKENIZER.encode("=2"), EOS]


def test_replayed_lines_count_with_all_their_tokens():
    pairs = [("uuwdudwu", "=2")]
    batch = task.Demonstrations(pairs, batch_size=4, seed=0, num_replayed=1)[0]
    counts = (batch.targets != IGNORE_INDEX).sum(1).tolist()
    assert counts[:3] == [3, 3, 3] and counts[3] == int((batch.inputs[3] != 0).sum())


def test_a_tie_with_an_edge_extends_the_grid_and_the_smallest_rate_wins():
    errors = {0.5: 0.2, 1.0: 0.1, 2.0: 0.1 - 1e-16, 4.0: 0.1, 8.0: 0.3}
    assert command.tune_counts(errors.__getitem__, [1.0, 2.0]) == errors
    assert command.best(errors) == 1.0
    with pytest.raises(RuntimeError, match="at an edge"):
        command.tune_counts(lambda rate: rate, [1.0, 2.0])


@pytest.fixture(scope="module")
def start():
    """A small model without training, in evaluation mode."""
    seed_everything(0)
    return models.small_gpt().eval()


def test_drawn_answers_end_or_are_marked(start):
    answers = measure.draw_answers(start, ["uuwdudwu"] * 40, seed=0)
    assert all(len(answer) == task.MAX_ANSWER or answer[-1] == EOS for answer in answers)
    texts = [measure.as_text(answer) for answer in answers]
    for answer, text in zip(answers, texts, strict=True):
        assert text.endswith("…") == (answer[-1] != EOS)


def test_a_model_has_no_divergence_from_itself(start):
    assert measure.describe(start, start)["KL from start"] == pytest.approx(0, abs=1e-6)


def test_pass_curves_rise_and_working_is_harder_than_the_result(start, monkeypatch):
    texts = iter(["12212112=2", "12212111=2", "=2", "=1"] * 8)
    monkeypatch.setattr(measure, "PASS_QUESTIONS", 1)
    monkeypatch.setattr(measure, "asked", lambda *_: ("uuwdudwu",))
    monkeypatch.setattr(measure, "as_text", lambda _: next(texts))
    curves = measure.pass_curves(start)
    assert curves["pass@k"][0] == 0.75 and curves["pass@k, working"][0] == 0.25
    assert curves["pass@k, worked only"][0] == 0.5  # 8 of 16 worked answers
    assert all(sorted(curve) == curve for curve in curves.values())


@pytest.mark.parametrize("gradient", rewards.GRADIENTS)
def test_rewards_of_length_lengthen_answers(start, gradient, monkeypatch):
    monkeypatch.setattr(rewards, "ROWS_IN_BATCH", 32)
    config = rewards.PolicyConfig(gradient=gradient, steps=12, rate=1e-2, seed=0, reward="length")
    curves = rewards.train_policy(copy.deepcopy(start), start, config)
    tokens = curves["tokens"]
    assert sum(tokens[-3:]) >= sum(tokens[:3]) and max(tokens) <= task.MAX_ANSWER
    assert {len(curve) for curve in curves.values()} == {12}


def test_dpo_starts_at_log_two_and_falls(start):
    pairs = [("uuwdudwu", task.answer_ids("=2"), task.answer_ids("=1"))]
    model = copy.deepcopy(start)
    draws = rewards.Draws([], [], pairs)
    losses, tokens = rewards.train_by_dpo(model, start, draws, steps=8, rate=1e-3, seed=0)
    assert losses[0] == pytest.approx(torch.tensor(2.0).log().item(), abs=1e-4)
    assert losses[-1] < losses[0] and tokens == 8 * models.ROWS_IN_BATCH * 3


def test_arms_of_a_part_have_one_budget():
    for part, arms in parts.PARTS.items():
        budgets = {(arm.steps, arm.is_instructed) for arm in arms.values()}
        assert len(budgets) == 1, part


@pytest.fixture
def short(monkeypatch):
    """Two steps for each arm, one trial of its rate, and few questions."""
    small_parts = {
        part: {name: dataclasses.replace(arm, steps=2) for name, arm in arms.items()}
        for part, arms in parts.PARTS.items()
    }
    config = dataclasses.replace(models.PRETRAINING, steps=25)
    monkeypatch.setattr(models, "PRETRAINING", config)
    monkeypatch.setattr(measure, "NUM_QUESTIONS", 12)
    monkeypatch.setattr(measure, "PASS_QUESTIONS", 2)
    monkeypatch.setattr(command, "TUNING_SEEDS", (100,))
    monkeypatch.setattr(command, "PARTS", small_parts)
    monkeypatch.setattr(command, "INSTRUCTED", dataclasses.replace(parts.INSTRUCTED, steps=2))
    monkeypatch.setattr(command, "tune_counts", lambda score, rates: {rates[0]: score(rates[0])})
    forget()
    yield
    forget()


def forget():
    """Forget the models and draws of this process."""
    for function in (models._pretrained, parts._instructed, parts._draws):
        function.cache_clear()


@pytest.mark.slow
def test_the_command_writes_trials_and_runs(run, short, monkeypatch):
    pairs = [("uuwdudwu", task.answer_ids("=2"), task.answer_ids("=1"))]
    answers = [pair[:2] for pair in pairs]
    drawn = rewards.Draws(answers, answers, pairs)  # a new model is hardly ever right
    monkeypatch.setattr(rewards, "draw_from_start", lambda *_, **__: drawn)
    rows = run("after_pretraining", "--seeds", 0)["rows"]
    names = {(row["part"], row["arm"]) for row in rows}
    for part, arms in parts.PARTS.items():
        assert {(part, arm) for arm in arms} <= names
    measured = [row for row in rows if not row["part"].endswith("trials")]
    assert len(measured) == sum(map(len, parts.PARTS.values()))
    for row in measured:
        assert 0 <= row["figures"]["accuracy"] <= 1 and row["costs"]["tokens"] > 0
        for curve in ("pass@k", "pass@k, working"):
            assert len(row["figures"][curve]) == len(measure.PASS_KS)


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("after_pretraining", "reward")
    assert "there are instruction, rewards, length" in capsys.readouterr().err
