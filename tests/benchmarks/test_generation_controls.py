"""The controls of section 6.2: copies of the training text, and damaged texts."""

import json
from collections import Counter

import pytest
import torch

from benchmarks.generation import controls, task
from benchmarks.generation.task import GenerationTask, Passages
from utils.data.corpora import load_text
from utils.data.tokenizers import BPETokenizer
from utils.models.gpt import GPT
from utils.models.stored import StoredModel
from utils.notebook.seed_results import COSTS, StoredRow


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


@pytest.fixture(scope="module")
def train(loaded):
    return torch.tensor(loaded.tokenizer.encode(load_text().train))


@pytest.fixture(autouse=True)
def few_passages(monkeypatch):
    monkeypatch.setattr(Passages.draw, "__kwdefaults__", {"count": 3})


def test_a_share_of_the_pieces_is_replaced_by_pieces_of_the_text():
    texts, text = [[-1] * 500] * 4, torch.tensor([7, 7, 7, 9])
    damaged = torch.tensor(controls.replace_pieces(texts, text, 0.2, seed=1))  # (4, 500)
    assert damaged.shape == (4, 500)
    assert abs(float((damaged != -1).double().mean()) - 0.2) < 0.03
    drawn = damaged[damaged != -1].tolist()
    assert set(drawn) == {7, 9} and abs(drawn.count(7) / len(drawn) - 0.75) < 0.07
    assert controls.replace_pieces(texts, text, 0.0, seed=1) == texts


def test_shuffling_keeps_the_words_of_each_text_and_changes_their_order(loaded):
    _, real = loaded.passages["test"].draw(seed=0)
    texts = real.tolist()
    shuffled = controls.shuffle_words(texts, loaded, seed=2)
    for before, after in zip(texts, shuffled, strict=True):
        words, others = (loaded.text_of(text).split(" ") for text in (before, after))
        assert words != others and Counter(words) == Counter(others)


def test_copies_stand_in_the_training_text(loaded, train):
    prompts, texts = controls.make_arms(loaded, train)["copies"]("test", 4)
    whole = "".join(f",{piece}" for piece in train.tolist()) + ","
    for row in torch.cat([prompts, torch.tensor(texts)], 1).tolist():
        assert "".join(f",{piece}" for piece in row) + "," in whole


def test_damage_is_done_to_the_plain_samples_of_the_seed(loaded, train):
    arms = controls.make_arms(loaded, train)
    prompts, plain = arms["plain"]("valid", 1)
    others, damaged = arms["5% replaced"]("valid", 1)
    same = torch.tensor(plain) == torch.tensor(damaged)
    assert torch.equal(prompts, others) and 0.85 < float(same.double().mean()) < 1
    shuffled = arms["words shuffled"]("valid", 1)[1]
    words = [Counter(loaded.text_of(text).split(" ")) for text in plain]
    assert words == [Counter(loaded.text_of(text).split(" ")) for text in shuffled]
    assert arms["temperature 0.6"]("valid", 1)[1] != plain


def test_the_command_writes_its_rows_beside_others(loaded, monkeypatch, tmp_path):
    monkeypatch.setattr(GenerationTask, "load", lambda: loaded)
    path = tmp_path / "results.json"
    controls.main(["--seeds", "0", f"--out={path}"])
    rows = [StoredRow.from_stored(row) for row in json.loads(path.read_text("utf-8"))["rows"]]
    shares = {f"{share:.0%} replaced" for share in controls.SHARES}
    arms = {"copies", "plain", "temperature 0.6", "words shuffled"} | shares
    assert {(row.part, row.arm, row.seed) for row in rows} == {("controls", a, 0) for a in arms}
    for row in rows:
        assert row.costs.keys() == set(COSTS)
        assert row.figures.keys() == {"judge", "student", "selection judge", "selection student"}
