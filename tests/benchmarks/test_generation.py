"""The benchmark of decoding: its passages, measures and rules."""

import json
import math

import pytest
import torch

from benchmarks.generation import __main__ as command
from benchmarks.generation import between, task
from benchmarks.generation.diversity import run_rule
from benchmarks.generation.rules import RULES, Rule
from benchmarks.generation.task import GenerationTask, Passages
from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.stored import StoredModel
from utils.notebook.seed_results import COSTS, SETTINGS, StoredRow

SPECIAL = [0, 1, 2]


@pytest.fixture(scope="module")
def loaded():
    """The task with a GPT that has learned nothing, on the text of these tests."""
    tokenizer = BPETokenizer.train(load_text().train, max_vocab_size=300)
    torch.manual_seed(0)
    sizes = {"width": 16, "num_layers": 1, "num_heads": 2, "context_length": 128}
    model = GPT(len(tokenizer), **sizes).eval()
    stored = StoredModel(model=model, tokenizer=tokenizer, options={}, facts={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "load_stored_model", lambda name: stored)
        return GenerationTask.load()


def test_passages_do_not_overlap_and_go_on():
    stretch = task.PROMPT + task.LENGTH
    passages = Passages(torch.arange(20 * stretch), torch.zeros(1))
    prompts, real = passages.draw(seed=3, count=7)
    rows = torch.cat([prompts, real], 1)
    assert rows.shape == (7, stretch) and (rows.diff(dim=1) == 1).all()
    starts = rows[:, 0].sort().values
    assert (starts.diff() >= stretch).all()
    assert not torch.equal(passages.draw(seed=4, count=7)[0], prompts)


def test_the_exam_shares_no_text_with_the_passages(loaded):
    corpus = load_text()
    for split in ("valid", "test"):
        text, passages = getattr(corpus, split), loaded.passages[split]
        first = loaded.text_of(passages.pieces)
        held_out = loaded.characters.decode(passages.held_out.tolist())
        assert text.startswith(first) and text[len(first) :].startswith(held_out)


def test_the_judge_gives_the_bits_of_the_texts_alone(loaded):
    prompts, real = loaded.passages["test"].draw(seed=0, count=2)
    nats = count = 0
    for prompt, text in zip(prompts, real, strict=True):
        given = len(loaded.text_of(prompt))
        ids = loaded.characters.encode(loaded.text_of(torch.cat([prompt, text])))
        scores = loaded.judge.score(ids)
        nats -= sum(scores[i].item() for i in range(given, len(ids)))
        count += len(ids) - given
    assert math.isclose(
        loaded.judge_bits_per_character(prompts, real.tolist()), nats / math.log(2) / count
    )


def test_neither_a_bore_nor_a_babbler_passes_the_exam(loaded):
    """A student learns most from real text, less from one passage again and again or letters."""
    _, real = loaded.passages["valid"].draw(seed=0, count=40)
    texts = [loaded.text_of(row) for row in real]
    letters = "".join(texts)
    order = torch.randperm(len(letters), generator=torch.Generator().manual_seed(0))
    shuffled = ["".join(letters[i] for i in order)]
    score = loaded.student_bits_per_character(texts, "valid")
    assert score < loaded.student_bits_per_character(texts[:1] * 40, "valid") - 0.2
    assert score < loaded.student_bits_per_character(shuffled, "valid") - 0.2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_writes_pieces_of_the_length(loaded, rule):
    prompts, real = loaded.passages["test"].draw(seed=0, count=2)
    texts = rule.write(loaded.writers[rule.writer], prompts, real[:, :5], seed=1)
    assert [len(text) for text in texts] == [5, 5]
    assert not set(SPECIAL) & {token for text in texts for token in text}


def test_the_figures_are_repeated_by_the_seed(loaded, monkeypatch):
    monkeypatch.setattr(Passages.draw, "__kwdefaults__", {"count": 3})
    rule = Rule("top_p", 0.7)
    (first, costs), (again, _), (other, _) = (
        run_rule(rule, loaded, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other and costs.keys() == set(COSTS)
    assert costs["tokens"] == 2 * 3 * task.LENGTH
    measured = {"judge", "student", "distinct-2", "repeated"}
    assert first.keys() == measured | {f"selection {name}" for name in measured}


def test_names_of_arms_are_unique():
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_command_writes_rows_of_the_rules_it_is_given(loaded, monkeypatch, tmp_path):
    monkeypatch.setattr(Passages.draw, "__kwdefaults__", {"count": 2})
    monkeypatch.setattr(GenerationTask, "load", lambda: loaded)
    path = tmp_path / "results.json"
    command.main(["--arms", "plain", "top_k 5", "--seeds", "0", "1", f"--out={path}"])
    rows = [StoredRow.from_stored(row) for row in json.loads(path.read_text("utf-8"))["rows"]]
    arms = {(row.part, row.arm, row.seed) for row in rows}
    assert arms == {("diversity", arm, seed) for arm in ("plain", "top_k 5") for seed in (0, 1)}
    assert all(row.settings.keys() >= set(SETTINGS) for row in rows)


def test_settings_between_are_rows_of_their_own_part(loaded, monkeypatch, tmp_path):
    monkeypatch.setattr(Passages.draw, "__kwdefaults__", {"count": 2})
    monkeypatch.setattr(GenerationTask, "load", lambda: loaded)
    path = tmp_path / "results.json"
    between.main(["--seeds", "0", f"--out={path}"])
    rows = [StoredRow.from_stored(row) for row in json.loads(path.read_text("utf-8"))["rows"]]
    arms = {f"{option} {value:g}" for option, values in between.GRIDS.items() for value in values}
    assert {(row.part, row.arm, row.seed) for row in rows} == {("between", arm, 0) for arm in arms}
    assert not arms & {rule.name for rule in RULES}
    assert all(row.figures.keys() >= {"judge", "selection student"} for row in rows)


def test_an_unknown_rule_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--arms", "none"])
    assert "argument --arms: invalid choice: 'none'" in capsys.readouterr().err
