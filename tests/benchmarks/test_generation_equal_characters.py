"""Sets of texts cut to equal numbers of characters, for section 6.2."""

import json

import pytest
import torch

from benchmarks.generation import equal_characters, task
from benchmarks.generation.task import GenerationTask, Passages
from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.stored import StoredModel
from utils.notebook.seed_results import COSTS, StoredRow


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A GPT that has learned nothing, and few passages."""
    tokenizer = BPETokenizer.train(load_text().train, max_vocab_size=300)
    torch.manual_seed(0)
    sizes = {"width": 16, "num_layers": 1, "num_heads": 2, "context_length": 128}
    model = GPT(len(tokenizer), **sizes).eval()
    stored = StoredModel(model=model, tokenizer=tokenizer, options={}, facts={})
    monkeypatch.setattr(task, "load_stored_model", lambda name: stored)
    monkeypatch.setattr(Passages.draw, "__kwdefaults__", {"count": 3})
    monkeypatch.setattr(equal_characters, "CHARACTERS", 150)


def test_texts_are_shortened_in_proportion():
    texts = ["a" * 50, "b" * 100, "c" * 51]
    shortened = equal_characters.shorten(texts, 67)
    assert sum(map(len, shortened)) == 67
    assert all(text.startswith(short) for text, short in zip(texts, shortened, strict=True))
    assert [len(text) for text in shortened] == pytest.approx([50 / 3, 100 / 3, 17], abs=1)
    assert equal_characters.shorten(texts, 201) == texts
    with pytest.raises(ValueError, match="201 characters, fewer than 202"):
        equal_characters.shorten(texts, 202)


def test_the_student_reads_shortened_texts_and_the_judge_whole_ones():
    loaded = GenerationTask.load()

    def write(split, seed):
        prompts, real = loaded.passages[split].draw(seed=seed)
        return prompts, real.tolist()

    figures, costs = equal_characters.measure(write, loaded, seed=1)
    assert set(costs) == set(COSTS)
    judge, student = [], []
    for split in ("valid", "test"):
        prompts, texts = write(split, 1)
        judge.append(loaded.judge_bits_per_character(prompts, texts))
        short = equal_characters.shorten([loaded.text_of(text) for text in texts], 150)
        student.append(loaded.student_bits_per_character(short, split))
        assert figures[f"{split} student"] == student[-1]
    assert figures["judge"] == pytest.approx(sum(judge) / 2)
    assert figures["student"] == pytest.approx(sum(student) / 2)


def test_the_command_writes_a_row_of_each_arm(tmp_path, monkeypatch):
    out = tmp_path / "generation.json"
    monkeypatch.setattr(equal_characters, "RULES", equal_characters.RULES[:2])
    monkeypatch.setattr(equal_characters, "CONTROLS", ("plain", "words shuffled"))
    equal_characters.main(["--out", str(out), "--seeds", "0"])
    rows = [StoredRow.from_stored(row) for row in json.loads(out.read_text("utf-8"))["rows"]]
    assert {row.arm for row in rows} == {"plain", "words shuffled", "top_k 20", "top_k 30"}
    assert {row.part for row in rows} == {"equal characters"}
