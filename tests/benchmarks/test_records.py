"""The records: choices on validation alone, rows seed by seed, and runs that go on."""

import pytest
import torch
from sacrebleu import corpus_bleu, corpus_chrf

from benchmarks.code_version import code_version
from benchmarks.records import __main__ as command
from benchmarks.records import de_en_transformer as record
from benchmarks.records import evaluation
from benchmarks.records.evaluation import RANKINGS, search_figures, text_scores
from benchmarks.records.record_run import RecordRun
from benchmarks.records.task import TESTS, PairTask
from benchmarks.records.training import ProcessorClock, Training, train_pairs
from tests.helpers.benchmark_runs import record_calls, token_losses
from utils.data.vocabulary import BOS, EOS
from utils.metrics.cost import count_parameters
from utils.training.config import TrainConfig
from utils.training.optimizers import adamw

SCORE = "validation loss (nats per token)"
PART = "Multi30k, German to English"
POSITIONS = ("rotary", "sinusoidal")


@pytest.fixture
def one_rate(monkeypatch):
    """The trials have one rate, which is the best of three; a few searches give short answers."""

    def tune(score, rates):
        return {rates[0]: 99.0, rates[1]: score(rates[1]), rates[2]: 99.0}

    monkeypatch.setattr(record, "tune", tune)
    few = {name: RANKINGS[name] for name in ("length penalty 1", "bonus 0.4")}
    monkeypatch.setattr(evaluation, "RANKINGS", few)
    monkeypatch.setattr(evaluation, "MAX_LENGTH", 6)


def arguments(tmp_path, *seeds, steps=2, name="de-en-transformer"):
    folder = tmp_path / "checkpoints"
    limits = ["--steps", steps, "--trial-steps", 1]
    return [name, "--seeds", *seeds, *limits, "--checkpoints", folder]


def test_the_command_stores_what_its_models_do(run, one_rate, monkeypatch, tmp_path):
    trained = record_calls(monkeypatch, record, "train_pairs")
    content = run("records", *arguments(tmp_path, 0, 1))
    rows = {(row["part"], row["arm"], row["seed"]): row for row in content["rows"]}
    arm = "Transformer, 2 steps"
    assert list(rows) == [(PART, arm, 0), (PART, arm, 1)] + [
        (f"{PART}, trials", f"{positions}, rate 0.008", 100) for positions in POSITIONS
    ]
    task = PairTask.load("de", "en", vocab_size=record.VOCAB_SIZE)
    for seed, ((model, *_), _) in zip((0, 1), trained[2:], strict=True):
        row = rows[PART, arm, seed]
        losses = [
            token_losses(model, torch.tensor([BOS, *target, EOS]), torch.tensor(source))
            for source, target in task.valid
        ]
        assert row["figures"][SCORE] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-4)
        assert [step for step, _ in row["figures"]["validation curve"]] == [1, 2]
        assert row["costs"]["parameters"] == count_parameters(model) < 9e6
        assert row["costs"]["threads"] == 1 and row["costs"]["processor_seconds"] > 0
        assert row["settings"]["grid"] == list(record.RATES)
        assert row["settings"]["learning_rate"] == record.RATES[1]
        scores = [rows[f"{PART}, trials", f"{name}, rate 0.008", 100] for name in POSITIONS]
        losses = [row["figures"][SCORE] for row in scores]
        assert row["settings"]["positions"] == POSITIONS[losses.index(min(losses))]
        assert row["provenance"]["origin"] == "stand-in"
        assert row["code"] == code_version("benchmarks.records.de_en_transformer")
    figures = rows[PART, arm, 0]["figures"]
    for test, search in ((TESTS[0], "greedy"), (TESTS[0], "beam")):
        references = [[reference for _, reference in task.tests[test]]]
        answers = figures[f"{test}, {search}, answers"]
        name = f"{test}, {search}, "
        assert figures[name + "BLEU, cased"] == pytest.approx(
            corpus_bleu(answers, references).score
        )
        assert figures[name + "BLEU, lower-cased"] == pytest.approx(
            corpus_bleu(answers, references, lowercase=True).score
        )
        assert figures[name + "chrF"] == pytest.approx(corpus_chrf(answers, references).score)
    assert not any("answers" in name for name in rows[PART, arm, 1]["figures"])


def test_the_other_direction_has_trials_and_rows_of_its_own(run, one_rate, monkeypatch, tmp_path):
    trained = record_calls(monkeypatch, record, "train_pairs")
    content = run("records", *arguments(tmp_path, 0, name="en-de-transformer"))
    part = "Multi30k, English to German"
    assert [(row["part"], row["seed"]) for row in content["rows"]] == [
        (part, 0),
        (f"{part}, trials", 100),
        (f"{part}, trials", 100),
    ]
    task = PairTask.load("en", "de", vocab_size=record.VOCAB_SIZE)
    assert all(arguments[1].train == task.train for arguments, _ in trained)
    figures = content["rows"][0]["figures"]
    references = [[german for _, german in task.tests[TESTS[0]]]]
    answers = figures[f"{TESTS[0]}, greedy, answers"]
    found = figures[f"{TESTS[0]}, greedy, chrF"]
    assert found == pytest.approx(corpus_chrf(answers, references).score)
    assert content["rows"][0]["code"] == code_version("benchmarks.records.en_de_transformer")


def test_a_seed_that_the_file_has_is_not_run_again(run, one_rate, monkeypatch, tmp_path):
    run("records", *arguments(tmp_path, 0))
    trained = record_calls(monkeypatch, record, "train_pairs")
    content = run("records", *arguments(tmp_path, 0, 2))
    assert len(trained) == 1
    assert sorted(row["seed"] for row in content["rows"]) == [0, 2, 100, 100]


def test_the_command_is_stored_without_the_folders_of_a_machine(tmp_path):
    run = RecordRun.of_record(
        "de_en_transformer", ["de-en-transformer", "--out", "a.json", "--checkpoints", "b c"]
    )
    assert run.command == "python -m benchmarks.records de-en-transformer"
    assert run.restarted().command == run.command


@pytest.mark.parametrize("name", command.RECORDS)
def test_a_record_has_its_own_steps_and_seeds(name, monkeypatch):
    calls = []
    monkeypatch.setitem(command.RECORDS, name, lambda *_, **options: calls.append(options))
    command.main([name])
    command.main([name, "--steps", "5", "--seeds", "2"])
    assert [(c["steps"], c["seeds"]) for c in calls] == [(12_000, [0, 1, 2]), (5, [2])]
    assert calls[0]["trial_steps"] is None and calls[0]["folder"].name == "records"


class Trials:
    """Rows of trials whose losses are given."""

    def __init__(self, losses):
        self.losses = losses

    def missing(self, arm, seeds, settings):
        return []

    def figures(self, arm, seed):
        return {SCORE: self.losses[arm]}


@pytest.mark.parametrize(("sinusoidal", "positions"), [(1.9, "sinusoidal"), (2.1, "rotary")])
def test_rate_and_positions_are_those_of_the_lowest_validation_loss(sinusoidal, positions):
    losses = {"rotary, rate 0.004": 2.2, "rotary, rate 0.008": 2.1, "rotary, rate 0.016": 2.0}
    losses |= {"rotary, rate 0.032": 3.0, "sinusoidal, rate 0.016": sinusoidal}
    choice = record.choose(Trials(losses), None, steps=1, folder=None, code="")
    assert choice == {
        "rate": 0.016,
        "positions": positions,
        "grid": [0.004, 0.008, 0.016, 0.032],
    }


def test_the_ranking_is_that_of_the_best_bleu_on_validation(short_corpora, monkeypatch):
    """By a model that translates the validation sentences well with one ranking only."""
    task = PairTask.load("de", "en", vocab_size=300)
    best = RANKINGS["bonus 0.4"]
    valid = dict(task.valid_pairs)
    asked = []

    def translate(model, sources, tokenizer, *, beam, max_length):
        asked.append(beam)
        good = beam == best
        return [valid.get(s, "a test sentence") if good else "nothing at all" for s in sources]

    monkeypatch.setattr(evaluation, "translate", translate)
    figures = search_figures(None, task, keep_answers=False)
    assert figures["ranking"] == "bonus 0.4"
    assert asked == [None, *RANKINGS.values(), *(None, best) * len(TESTS)]
    assert figures["validation"]["bonus 0.4"]["BLEU, cased"] == pytest.approx(100)
    assert not any("answers" in name for name in figures)


def test_scores_ignore_case_only_where_they_say_so():
    pairs = [("x", "A dog runs over the green grass ."), ("y", "Two men play a game of chess .")]
    scores = text_scores([reference.lower() for _, reference in pairs], pairs)
    assert scores["BLEU, lower-cased"] == pytest.approx(100) and scores["BLEU, cased"] < 90


def train_few(tmp_path, *, steps, interrupt_at=None):
    """Train a tiny model for a few steps; a signal may end the run before its last one."""
    task = PairTask.load("de", "en", vocab_size=300)
    torch.manual_seed(0)
    model = record.build(len(task.tokenizer), positions="rotary")
    training = Training(
        config=TrainConfig(steps=steps, validate_every=1, checkpoint_every=1),
        make_optimizer=stopping(interrupt_at),
        batch_size=8,
        label_smoothing=0.1,
    )
    return train_pairs(model, task, training, seed=3, checkpoint=tmp_path / "run.pt")


def stopping(at):
    """Return a maker of AdamW whose step of this number raises KeyboardInterrupt."""

    def make(model, config):
        optimizer, count = adamw(model, config), [0]
        step = optimizer.step

        def counted(*args, **options):
            count[0] += 1
            if count[0] == at:
                raise KeyboardInterrupt
            return step(*args, **options)

        optimizer.step = counted
        return optimizer

    return make


def test_a_run_that_was_stopped_goes_on_and_counts_all_its_time(short_corpora, tmp_path):
    whole, _ = train_few(tmp_path / "whole", steps=4)
    with pytest.raises(KeyboardInterrupt):
        train_few(tmp_path / "parts", steps=4, interrupt_at=3)
    clock = tmp_path / "parts" / "run.seconds"
    first = float(clock.read_text())
    clock.write_text(f"{first + 1000}\n")  # as if the first part had taken longer
    resumed, seconds = train_few(tmp_path / "parts", steps=4)
    assert resumed.losses == whole.losses and 1000 + first < seconds < 2000


def test_the_clock_starts_anew_without_a_checkpoint(tmp_path):
    (tmp_path / "run.seconds").write_text("500\n")
    assert ProcessorClock(tmp_path / "run.pt").read() < 500 > ProcessorClock(None).read()
