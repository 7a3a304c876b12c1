"""The stored GPT adapted, and a student of it: networks, recipes and the command."""

import dataclasses
import math

import pytest
import torch

from benchmarks import tuning
from benchmarks.compression import __main__ as command
from benchmarks.compression import task as texts_of
from benchmarks.compression.networks import (
    LowRank,
    linear_maps,
    with_free_matrices,
    with_low_rank,
)
from benchmarks.compression.parts import PARTS
from benchmarks.compression.task import Texts
from benchmarks.compression.training import (
    TEACHER_SHARE,
    TEMPERATURE,
    distillation,
    distilled_from,
    run_trial,
)
from utils.data.batches import Batch
from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.stored import StoredModel
from utils.runtime import seed_everything
from utils.training.objectives import token_nll

IDS = torch.tensor([[4, 5, 6, 7], [8, 9, 4, 5]])


def small_gpt(vocab_size=60):
    seed_everything(0)
    model = GPT(vocab_size, width=32, num_layers=2, num_heads=4, context_length=16)
    for _, _, part in linear_maps(model):  # none of them zero
        torch.nn.init.normal_(part.weight, std=0.2)
    return model.eval()


@pytest.fixture
def texts(short_corpora, monkeypatch):
    """The texts, with a small model in place of the stored one."""
    tokenizer = BPETokenizer.train(load_text().train, max_vocab_size=270)
    model = small_gpt(len(tokenizer))
    stored = StoredModel(model=model, tokenizer=tokenizer, options={}, facts={})
    monkeypatch.setattr(texts_of, "load_stored_model", lambda name: stored)
    return Texts.load()


def test_a_correction_is_zero_at_first_and_of_low_rank():
    model = small_gpt()
    adapted = with_low_rank(model, rank=3)
    assert torch.equal(adapted(IDS)[0], model(IDS)[0])
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert {name.rsplit(".", 1)[1] for name in trained} == {"A", "B"}
    num_maps = len(list(linear_maps(model)))
    assert num_maps == 8 and len(trained) == 2 * num_maps
    layer = LowRank(torch.nn.Linear(6, 5, bias=False), rank=2)
    torch.nn.init.normal_(layer.B)
    x = torch.randn(3, 6)
    weight = layer.base.weight + 2.0 * layer.B @ layer.A
    assert torch.allclose(layer(x), x @ weight.T, atol=1e-6)
    assert torch.linalg.matrix_rank(layer.B @ layer.A) == 2


def test_only_the_matrices_of_the_layers_are_free():
    model = small_gpt()
    freed = with_free_matrices(model)
    trained = {name for name, p in freed.named_parameters() if p.requires_grad}
    assert len(trained) == len(list(linear_maps(model))) == 8
    assert not any("embedding" in name or "norm" in name for name in trained)
    assert all(p.requires_grad for p in model.parameters())


def test_a_student_keeps_the_weights_of_its_lowest_validation_loss(texts):
    recipe = dataclasses.replace(
        PARTS["distillation"]["distilled"], steps=4, validate_every=2, length=8
    )
    figures, costs = run_trial(recipe, texts, rate=0.01, seed=0)
    assert figures["best step"] in (2, 4) and costs["tokens"] == 4 * 4 * 8
    whole = dataclasses.replace(recipe, validate_every=0)
    assert run_trial(whole, texts, rate=0.01, seed=0)[0]["best step"] == 4


def test_the_divergence_of_a_student_from_its_teacher():
    z, v = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([0.5, 0.5, 0.0])
    pz, pv = ([math.exp(x / 2) for x in t.tolist()] for t in (z, v))
    pz, pv = ([x / sum(p) for x in p] for p in (pz, pv))
    by_hand = 4 * sum(b * math.log(b / a) for a, b in zip(pz, pv, strict=True))
    assert float(distillation(z, v, 2.0)) == pytest.approx(by_hand, rel=1e-5)
    assert float(distillation(z, z, 2.0)) == pytest.approx(0, abs=1e-6)


def test_a_distilled_student_learns_from_both_text_and_teacher():
    teacher, model = small_gpt(), GPT(60, width=16, num_layers=1, num_heads=2)
    batch = Batch(IDS[:, :-1], IDS[:, 1:])
    z, v = model(batch.inputs)[0], teacher(batch.inputs)[0]
    hard, soft = token_nll(model, batch), distillation(z, v, TEMPERATURE)
    mixed = TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard
    loss = distilled_from(teacher)(model, batch)
    assert loss.item() == pytest.approx(mixed.item(), rel=1e-6)
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    model.eval()  # where the text alone selects the weights that are kept
    assert distilled_from(teacher)(model, batch).item() == pytest.approx(hard.item(), rel=1e-6)


def test_arms_that_are_compared_have_one_budget():
    for part, arms in PARTS.items():
        budgets = {(a.steps, a.batch_size, a.length, a.kind, a.part) for a in arms.values()}
        assert len(budgets) == 1, part
    students = PARTS["distillation"].values()
    assert len({(a.rates, a.validate_every) for a in students}) == 1


def test_texts_have_their_parts_in_pieces_of_the_stored_tokenizer(texts):
    for kind in ("plays", "captions"):
        assert set(texts.ids[kind]) == {"train", "little", "valid", "test"}
        assert int(max(ids.max() for ids in texts.ids[kind].values())) < texts.vocab_size
    little = texts.ids["plays"]["little"]
    assert torch.equal(little[:-5], texts.ids["plays"]["train"][: len(little) - 5])
    assert texts.origin == "stand-in"


def test_another_stored_model_is_refused(texts, monkeypatch):
    stored = texts_of.load_stored_model("x")
    other = dataclasses.replace(stored, model=RNNLM(len(stored.tokenizer), width=8))
    monkeypatch.setattr(texts_of, "load_stored_model", lambda name: other)
    with pytest.raises(TypeError, match="RNNLM"):
        Texts.load()


def test_the_command_writes_trials_and_runs(run, texts, monkeypatch):
    parts = {
        part: {
            arm: dataclasses.replace(recipe, steps=2, validate_every=0)
            for arm, recipe in arms.items()
        }
        for part, arms in PARTS.items()
    }
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    rows = run("compression", "--seeds", 0, 1)["rows"]
    for part, arms in PARTS.items():
        for arm, recipe in arms.items():
            (row, _) = [row for row in rows if (row["part"], row["arm"]) == (part, arm)]
            assert {"loss on plays", "loss on captions"} <= row["figures"].keys()
            trained = count_parameters(recipe.build(texts), trainable_only=True)
            assert row["costs"]["parameters"] == trained
        tuned = [arm for arm, recipe in arms.items() if recipe.fixed_rate is None]
        trials = [row for row in rows if row["part"] == f"{part}, trials"]
        assert len(trials) == len(tuned)
    for arm, rate in (("all weights, lower rate", 0.002), ("matrices, lower rate", 0.004)):
        (lower, _) = [row for row in rows if row["arm"] == arm]
        assert lower["settings"]["learning_rate"] == rate and lower["settings"]["grid"] is None


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("compression", "adaption")
    assert "there are adaptation, distillation" in capsys.readouterr().err
