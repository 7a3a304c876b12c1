"""The benchmark of translation: its jobs, and numbers that are those of the trained models."""

import argparse
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from sacrebleu import corpus_bleu, corpus_chrf

from benchmarks import worker_pool
from benchmarks.result_files import Run
from benchmarks.translation import __main__ as command
from benchmarks.translation import evaluation, training
from benchmarks.translation.evaluation import bleu_by_length, choose_ranking, stored_ranking
from benchmarks.translation.jobs import BAKE_OFF_STEPS, BUDGETS, TOKEN_BONUSES
from benchmarks.translation.recipes import RECIPES
from benchmarks.translation.root import RootArm, build_arm, divided_adamw, run_arm, score_matrix
from benchmarks.translation.task import TranslationTask
from tests.helpers.benchmark_runs import record_calls, token_losses
from utils.data.corpora import load_pairs
from utils.data.vocabulary import BOS, EOS
from utils.training.config import TrainConfig


def plan(**options):
    defaults = {"steps": None, "seeds": [0, 1], "models": list(BAKE_OFF_STEPS)}
    return command.plan_jobs(argparse.Namespace(**defaults | {"budgets": list(BUDGETS)} | options))


def test_the_jobs_of_each_part():
    bake_off = plan(part="bake-off")
    assert len(bake_off) == 2 * len(BAKE_OFF_STEPS)
    job = bake_off["Transformer, seed 1"]
    assert (job.model, job.seed, job.steps) == ("Transformer", 1, BAKE_OFF_STEPS["Transformer"])
    assert job.learning_rate == RECIPES["Transformer"].learning_rate and len(job.rankings) == 1
    longer = plan(part="longer", seeds=[0])
    assert [job.model for job in longer.values()] == ["LSTM + attention", "GRU + attention"]
    assert longer["fifteen minutes, seed 0"].rankings[1:] == TOKEN_BONUSES
    rates = plan(part="rates", models=["CNN"], steps=7)
    assert {name: job.learning_rate for name, job in rates.items()} == {
        "rate 0.002, CNN": 0.002,
        "rate 0.008, CNN": 0.008,
    }
    assert all(job.steps == 7 and not job.rankings for job in rates.values())


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(monkeypatch, processes):
    pools = []

    def make_pool(count, mp_context, **_options):
        pools.append((count, mp_context.get_start_method()))
        return ThreadPoolExecutor(count)

    monkeypatch.setattr(worker_pool, "ProcessPoolExecutor", make_pool)
    monkeypatch.setattr(command, "run_job", lambda job, run: {"model": job.model, "run": run.name})
    jobs, run = plan(part="bake-off", seeds=[0]), Run.start("translation", [])
    results = list(command.run_jobs(jobs, run, processes=processes))
    assert [name for name, _ in results] == list(jobs)
    assert [part["model"] for _, part in results] == [job.model for job in jobs.values()]
    assert pools == ([(2, "spawn")] if processes == 2 else [])


def test_another_process_can_be_given_a_job():
    work = (training.run_job, plan(part="longer"), Run.start("translation", []))
    assert pickle.loads(pickle.dumps(work)) == work


def test_models_of_the_bake_off_have_about_equal_numbers_of_parameters():
    sizes = {}
    with torch.device("meta"):
        for name in BAKE_OFF_STEPS:
            model = training.share_embeddings(RECIPES[name].build(4000, dropout=0.0))
            sizes[name] = sum(p.numel() for p in model.parameters())
    assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes


def assert_scores(scores, task):
    """BLEU and chrF of stored answers are those that sacrebleu computes for them."""
    references = [[reference for _, reference in task.corpus.test]]
    assert scores["bleu"] == pytest.approx(corpus_bleu(scores["answers"], references).score)
    assert scores["chrf"] == pytest.approx(corpus_chrf(scores["answers"], references).score)
    assert scores["low"] <= scores["bleu"] <= scores["high"] and scores["sentences_per_second"] > 0
    assert sum(row["sentences"] for row in scores["by_length"]) == len(references[0])


def test_the_bake_off_stores_what_its_models_do(run, monkeypatch):
    calls = record_calls(monkeypatch, training, "train_translator")
    models = ("LSTM + attention", "Transformer")
    content = run("translation", "bake-off", "--seeds", 0, "--models", *models, "--steps", 2)
    assert list(content) == [f"{model}, seed 0" for model in models]
    task = TranslationTask.load()
    for part, (_, trained) in zip(content.values(), calls, strict=True):
        model = trained.model
        assert part["num_parameters"] == sum(p.numel() for p in model.parameters())
        losses = [
            token_losses(model, torch.tensor([BOS, *target, EOS]), torch.tensor(source))
            for source, target in task.valid
        ]
        perplexity = torch.cat(losses).mean().exp().item()
        assert part["valid_perplexity"] == pytest.approx(perplexity, rel=1e-4)
        assert [step for step, _ in part["curve"]] == [1, 2] and part["steps"] == 2
        for scores in part["test"].values():
            assert_scores(scores, task)
        assert part["test"]["beam"]["ranking"] == {"length_penalty": 1.0}
        assert part["test"]["greedy"]["ranking"] == {}
        assert part["provenance"]["seeds"] == [0] and part["provenance"]["origin"] == "stand-in"


def test_answers_are_stored_for_one_seed_and_rates_are_not_tested(run):
    content = run("translation", "bake-off", "--seeds", 1, "--models", "LSTM", "--steps", 1)
    assert "answers" not in content["LSTM, seed 1"]["test"]["beam"]
    content = run("translation", "rates", "--models", "LSTM", "--steps", 1)
    assert content.keys() == {"LSTM, seed 1", "rate 0.002, LSTM", "rate 0.008, LSTM"}
    assert "test" not in content["rate 0.002, LSTM"]


def test_the_ranking_is_that_of_the_best_bleu_on_validation(short_corpora, monkeypatch):
    """By a model that translates well with one of the four rankings only."""
    task = TranslationTask.load()
    rankings = BUDGETS["fifteen minutes"].rankings
    references = [reference for _, reference in task.corpus.valid]

    def translate(model, sources, tokenizer, *, beam, max_length):
        assert sources == [source for source, _ in task.corpus.valid], "not the test set"
        return references if beam == rankings[2] else [reference[:20] for reference in references]

    monkeypatch.setattr(evaluation, "translate", translate)
    chosen = choose_ranking(None, task, rankings)
    assert chosen == rankings[2]
    assert stored_ranking(chosen) == {
        "length_penalty": 0.0,
        "token_bonus": 0.6,
        "patience": 2,
    }


def test_bleu_by_length_has_each_sentence_in_its_class():
    sources = ["word " * length for length in (7, 8, 9, 16, 17, 40)]
    pairs = [(source, f"this is sentence number {i}") for i, source in enumerate(sources)]
    answers = [reference for _, reference in pairs]
    answers[0] = "something quite different"
    rows = bleu_by_length(answers, pairs)
    assert [row.sentences for row in rows] == [1, 2, 0, 0, 1, 2]
    assert rows[0].bleu < 10
    assert rows[1].bleu == pytest.approx(100)
    assert rows[2].bleu is None


def test_the_root_is_a_smaller_start_and_a_smaller_rate(short_corpora):
    task = TranslationTask.load()
    scaled, both, neither = (
        run_arm(arm, task, seed=0, steps=3)[0]
        for arm in (
            RootArm(score="scaled"),
            RootArm(divides_start=True, divides_rate=True),
            RootArm(),
        )
    )
    assert scaled["steps measured"] == [0, 1, 2, 3]
    assert both["places"] == pytest.approx(scaled["places"], rel=1e-3)
    assert neither["places"][-1] < 0.99 * scaled["places"][-1]


def test_the_divided_rate_is_that_of_the_score_alone():
    model = build_arm(RootArm(divides_rate=True), 40)
    optimizer = divided_adamw(model, TrainConfig())
    scales = {
        id(p): group.get("lr_scale", 1.0)
        for group in optimizer.param_groups
        for p in group["params"]
    }
    weight = score_matrix(model)
    assert scales.pop(id(weight)) == 1 / 16 and set(scales.values()) == {1.0}
    assert len(scales) + 1 == len(list(model.parameters()))


def test_the_parts_with_rows_store_what_was_measured(run):
    content = run("translation", "root", "--seeds", 0, "--steps", 1)
    rows = {row["arm"]: row for row in content["rows"]}
    assert len(rows) == 4 and rows["without, smaller rate"]["settings"]["rate of W divided"]
    assert all(len(row["figures"]["places"]) == 2 for row in rows.values())
    content = run("translation", "chinese", "--seeds", 0, 1, "--steps", 1)
    (row,) = (row for row in content["rows"] if row["part"] == "chinese")
    test = load_pairs("tatoeba", source_language="en", target_language="zh").test
    references = [[reference for _, reference in test]]
    figures = row["figures"]
    score = corpus_bleu(figures["answers"], references, tokenize="zh").score
    assert figures["BLEU, characters"] == pytest.approx(score)
    assert figures["chrF"] == pytest.approx(corpus_chrf(figures["answers"], references).score)
