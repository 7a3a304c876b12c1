"""The catalogue: every model is built with its options, trains, and is loaded again."""

import json
from pathlib import Path

import pytest
import torch

from tests.helpers.command_lines import SMALL_MODELS, command_line, run
from utils.command.catalogue import MODELS, build_model
from utils.command.job import Job
from utils.command.parser import parse
from utils.command.run_folder import load_trained_model


def test_every_model_of_the_catalogue_is_tested():
    assert set(SMALL_MODELS) == set(MODELS)


@pytest.mark.parametrize("name", SMALL_MODELS)
def test_every_model_trains_and_is_loaded_again(name, capsys):
    assert run(f"{command_line(name)} --validate-every 1") == 0
    stdout = capsys.readouterr().out
    for part in ("bits per character", "weights of step"):
        assert part in stdout
    assert stdout.count("\nstep ") == 2
    description = json.loads(Path(f"runs/{name}/model.json").read_text(encoding="utf-8"))
    words = SMALL_MODELS[name].split()
    for option, value in zip(words[::2], words[1::2], strict=True):
        stored = description["model_options"][option.removeprefix("--").replace("-", "_")]
        assert value == json.dumps(stored, separators=(",", ":")).strip('"')
    model, tokenizer = load_trained_model(f"runs/{name}")
    ids = torch.tensor([tokenizer.encode("to be")])
    state = model.begin(ids) if hasattr(model, "begin") else None
    logits, _ = model(ids, state)
    assert logits.shape[2] == len(tokenizer) and not model.training


@pytest.mark.parametrize(
    "name, options, message",
    [
        (
            "gpt",
            {"widht": 32},
            "gpt has no option 'widht'; choose from .*num_layers, .*width, zero_init$",
        ),
        ("cnn", {"width": 8, "pool": "max"}, "cnn has no option 'pool'; choose from .*pooling"),
        ("rnnlm", {"vocab_size": 5}, "rnnlm has no option 'vocab_size'"),
        ("foo", {}, "model is 'foo'; choose from nnlm, rnnlm"),
    ],
)
def test_an_unknown_model_or_option_is_refused(name, options, message):
    """The option would be dropped, and the model built with the default."""
    with pytest.raises(ValueError, match=message):
        build_model(name, options, vocab_size=9)


@pytest.mark.parametrize("name", ["rnn", "attention", "cnn", "transformer"])
def test_encoder_and_decoder_share_their_embedding(name):
    job = Job.from_options(*parse([name, *SMALL_MODELS[name].split()]))
    model = build_model(name, job.model_options, vocab_size=9)
    assert model.encoder.embedding.weight is model.decoder.embedding.weight
