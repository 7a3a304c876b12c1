"""Training, search and checkpoints on a GPU and on a Mac, pretended.

First that the pretended device refuses what a real one would; then that nothing in the library
does what it refuses.
"""

import time
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.pretended_device import operations_missing_on_mps, pretended_device
from tests.helpers.tiny_models import ENCODER_DECODERS, LANGUAGE_MODELS, MODELS, SOURCE, V
from tests.helpers.tones import TONE_VOCAB_SIZE, make_clips, random_strings
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import Corpus
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.data.vocabulary import BOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search, best_sequences
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample
from utils.decoding.scoring import token_log_probs
from utils.decoding.translation import decode_sources
from utils.metrics.cost import median_milliseconds
from utils.models.classifiers import (
    Classifier,
    LanguageModelEncoder,
    WordCNNEncoder,
    predict_logits,
)
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.recurrent_encoders import RNNEncoder
from utils.runtime import select_device
from utils.speech.ctc import best_path
from utils.speech.ctc_beam_search import CTCBeamConfig, prefix_beam_search
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.training import joint_objective, train_recognizer
from utils.speech.transcription import attention_alignment, clip_log_probs, transcribe
from utils.studies.scaling_runs import CharacterScaling
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import label_nll
from utils.training.optimizers import OPTIMIZERS

TEXT = torch.randint(4, V, (120,), generator=torch.Generator().manual_seed(0))
PAIRS = [([4 + i % 5, 5, 2], [4 + i % 5] * (1 + i % 3)) for i in range(12)]
CONFIG = TrainConfig(steps=1, learning_rate=1e-2)


@pytest.fixture(params=["cuda", "mps"])
def device(request):
    with pretended_device(request.param) as device:
        yield device


# ---- the pretended device ------------------------------------------------------------------------


def test_tensors_remember_their_device(device):
    x = torch.ones(3, 2, device=device)
    assert x.device == device == (x + 1).T[0].device == torch.zeros_like(x).device
    assert x.sum().device == device and x.is_cpu is False and torch.ones(1).is_cpu is True
    assert x.cpu().device.type == "cpu" and x.device == device
    model = nn.Linear(2, 2).to(device)
    model(x).sum().backward()
    assert {p.grad.device for p in model.parameters()} == {device}
    assert select_device().type == device.type


def test_tensors_of_two_devices_are_refused(device):
    x, other = torch.ones(2, 2, device=device), torch.ones(2, 2)
    for function in (torch.add, torch.matmul, lambda x, other: torch.cat([x, other])):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            function(x, other)
    with pytest.raises(RuntimeError, match="Expected all tensors"):
        nn.Embedding(4, 2).to(device)(torch.tensor([1]))
    with pytest.raises(RuntimeError, match="Expected all tensors"):
        other.add_(torch.tensor(1.0, device=device))
    assert (x + torch.tensor(2.0)).device == device, "a scalar may come from anywhere"


def test_indices_of_the_other_device_are_refused_on_the_cpu_only(device):
    x, indices = torch.ones(3), torch.tensor([0, 1])
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
        x[indices.to(device)]
    assert x.to(device)[indices].device == device


def test_arrays_are_made_of_tensors_on_the_cpu_only(device):
    x = torch.ones(3, device=device)
    for function in (x.numpy, lambda: np.asarray(x)):
        with pytest.raises(TypeError, match=r"can't convert .* device type tensor to numpy"):
            function()
    assert x.cpu().numpy().tolist() == x.tolist() == [1, 1, 1]


def test_a_generator_belongs_to_a_device(device):
    generator = torch.Generator()
    with pytest.raises(RuntimeError, match=f"Expected a '{device.type}' device type for generator"):
        torch.randn(3, device=device, generator=generator)
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator"):
        torch.randn(3, generator=torch.Generator(device))
    with pytest.raises(RuntimeError, match="for generator"):
        torch.multinomial(torch.ones(3, device=device), 1, generator=generator)
    assert torch.randn(3, device=device, generator=torch.Generator(device)).device == device


def test_a_mac_has_no_numbers_of_64_bits():
    functions = (
        lambda device: torch.ones(1, device=device).double(),
        lambda device: torch.ones(1, dtype=torch.float64, device=device),
        lambda device: torch.ones(1, dtype=torch.float64).to(device),
        lambda device: torch.ones(2, device=device).mean(dtype=torch.float64),
    )
    for function in functions:
        with pretended_device("mps") as device, pytest.raises(TypeError, match="float64"):
            function(device)
        with pretended_device("cuda") as device:
            assert function(device).dtype == torch.float64
    with pretended_device("mps") as device:
        assert torch.ones(1, device=device).cpu().double().dtype == torch.float64


def test_a_mac_lacks_operations_that_cuda_has():
    assert "_ctc_loss" in operations_missing_on_mps()
    assert not {"mm", "add.Tensor", "native_layer_norm"} & operations_missing_on_mps()
    lengths = torch.tensor([3]), torch.tensor([1])

    def compute_loss(device):
        log_probs = torch.zeros(3, 1, 5, device=device).log_softmax(-1)
        targets = torch.tensor([[1]], device=device)
        return nn.functional.ctc_loss(log_probs, targets, *lengths, reduction="sum")

    with pretended_device("cuda") as device:
        assert compute_loss(device).device == device
    with pretended_device("mps") as device, pytest.raises(NotImplementedError, match="_ctc_loss"):
        compute_loss(device)


@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, nn.LSTM])
def test_cudnn_has_no_gradient_of_a_recurrent_layer_in_evaluation_mode(cell):
    for device_type in ("cuda", "mps"):
        with pretended_device(device_type) as device:
            rnn, x = cell(2, 3, batch_first=True).to(device), torch.ones(1, 4, 2, device=device)
            rnn(x)[0].sum().backward()
            rnn.eval()
            loss = rnn(x)[0].sum()
            if device_type == "mps":
                loss.backward()
            else:
                with pytest.raises(RuntimeError, match="cudnn RNN backward can only be called in"):
                    loss.backward()
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4]), batch_first=True)
            if device_type == "cuda":
                with pytest.raises(RuntimeError, match="cudnn RNN backward"):
                    rnn(packed)[0].data.sum().backward()


def test_lengths_of_packed_clips_stay_on_the_cpu(device):
    x, lengths = torch.ones(2, 3, 1, device=device), torch.tensor([3, 2])
    nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    with pytest.raises(RuntimeError, match="'lengths' argument should be a 1D CPU int64 tensor"):
        nn.utils.rnn.pack_padded_sequence(x, lengths.to(device), batch_first=True)


@pytest.mark.parametrize("device_type", ["cuda", "mps"])
def test_the_clock_is_read_when_the_device_has_finished(device_type):
    with pretended_device(device_type, strict_clock=True) as device:
        time.perf_counter()
        x = torch.ones(2, device=device) + 1
        with pytest.raises(AssertionError, match="while the device may still be at work"):
            time.perf_counter()
        for wait in (x.sum().item, getattr(torch, device_type).synchronize, x.cpu, x.tolist):
            x = x + 1
            wait()
            time.perf_counter()


# ---- the library ---------------------------------------------------------------------------------


def stream_and_valid(name):
    """Training and validation batches for a model of `MODELS`."""
    if name in ENCODER_DECODERS:
        stream = PairBatches(PAIRS, batch_size=4, seed=0)
        return stream, pair_eval_batches(PAIRS[:4], batch_size=4)
    stream = TextBatches(TEXT, batch_size=2, context_length=6)
    return stream, text_eval_batches(TEXT[:16], batch_size=2, context_length=6)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_trains_and_is_searched(name, device):
    torch.manual_seed(0)
    model = MODELS[name](6).to(device)
    stream, valid = stream_and_valid(name)
    history = fit(model, stream, CONFIG, valid=valid, progress=False)
    assert len(history.validations) == 1 and {p.device for p in model.parameters()} == {device}
    prompt, state = torch.full((len(SOURCE), 1), BOS, device=device), None
    if name in ENCODER_DECODERS:
        state = model.begin(SOURCE.to(device))  # of several lengths
        search = partial(best_sequences, beam=BeamConfig(2), max_length=3)
        assert len(decode_sources(model, [[4, 2], [5, 5, 2]], search)) == 2
    else:
        assert token_log_probs(model, TEXT[:8]).device.type == "cpu"
    options = {"max_length": 3}
    assert len(greedy_search(model, prompt, state, **options)) == len(SOURCE)
    assert len(beam_search(model, prompt, state, beam=BeamConfig(2), **options)) == len(SOURCE)
    sampling = SamplingConfig(top_k=5, top_p=0.9, min_p=0.01, repetition_penalty=1.2)
    for generator in (None, torch.Generator(device)):
        texts = sample(model, prompt, state, sampling=sampling, generator=generator, **options)
        assert len(texts) == len(SOURCE)


@pytest.mark.parametrize(
    "name, optimizer",
    [("LM: gpt", "muon"), ("LM: lstm", "adamw"), ("gru → multiplicative", "muon")],
)
def test_a_run_resumes_from_its_checkpoint(name, optimizer, device, tmp_path):
    stream, valid = stream_and_valid(name)
    options = {"valid": valid, "progress": False, "make_optimizer": OPTIMIZERS[optimizer]}
    config = TrainConfig(steps=3, validate_every=2, checkpoint_every=1, learning_rate=1e-2)
    losses = []
    for is_interrupted in (False, True):
        torch.manual_seed(0)
        model, path = MODELS[name](6).to(device), tmp_path / f"{is_interrupted}.safetensors"
        if is_interrupted:
            with pytest.raises(IndexError):
                fit(model, _First(stream, 2), config, checkpoint=path, **options)
            model = MODELS[name](6).to(device)
        history = fit(model, stream, config, checkpoint=path, **options)
        losses.append((history.losses, history.validations))
        assert {p.device for p in model.parameters()} == {device}
    assert losses[0] == losses[1]


class _First:
    """The first batches of a stream."""

    def __init__(self, stream, count):
        self.stream, self.count = stream, count

    def __getitem__(self, step):
        if step >= self.count:
            raise IndexError(step)
        return self.stream[step]


def test_counts_are_asked_on_any_device(device):
    model = NGramLM.kneser_ney(NGramCounts(TEXT, order=3, vocab_size=V))
    expected, _ = model(TEXT[None, :9])
    log_probs, state = model(TEXT[None, :9].to(device))
    assert log_probs.device == state.device == device
    assert torch.allclose(log_probs.cpu().double(), expected, atol=1e-6)
    prompt = torch.full((2, 1), BOS, device=device)
    assert greedy_search(model, prompt, max_length=3) == greedy_search(
        model, prompt.cpu(), max_length=3
    )
    assert evaluate(model, text_eval_batches(TEXT, batch_size=2, context_length=6)).loss > 0


@pytest.mark.parametrize("name", ["cnn", "gru", "gpt"])
def test_classifiers_train_and_predict(name, device):
    encoders = {
        "cnn": lambda: (WordCNNEncoder(V, embedding_size=6, num_filters=2), 6),
        "gru": lambda: (RNNEncoder(V, width=6), 6),
        "gpt": lambda: (LanguageModelEncoder(LANGUAGE_MODELS["gpt"](6)), 6),
    }
    encoder, size = encoders[name]()
    examples = [([4 + i % 5, 5, 6], i % 2) for i in range(8)]
    model = Classifier(encoder, input_size=size).to(device)
    history = fit(
        model,
        LabelledBatches(examples, batch_size=4, seed=0),
        CONFIG,
        valid=labelled_eval_batches(examples, batch_size=4),
        progress=False,
        objective=label_nll,
    )
    assert len(history.losses) == 1
    assert predict_logits(model, [[4, 5], [6, 7, 8]]).device.type == "cpu"


def test_recognizers_train_and_are_searched(device):
    sample_examples = random_strings(count=2, length=2)
    clips = make_clips([[4, 5], [6]], np.random.default_rng(0))
    model = CTCRecognizer(TONE_VOCAB_SIZE, width=6).to(device)
    train_recognizer(model, sample_examples, steps=1, learning_rate=1e-2)
    log_probs = clip_log_probs(model, clips)
    assert {x.device.type for x in log_probs} == {"cpu"}
    assert len(prefix_beam_search(log_probs, CTCBeamConfig(2))) == len(
        list(map(best_path, log_probs))
    )
    joint = JointRecognizer(TONE_VOCAB_SIZE, width=6).to(device)
    objective = joint_objective(0.3)
    train_recognizer(joint, sample_examples, steps=1, learning_rate=1e-2, objective=objective)
    assert len(transcribe(joint, clips, max_length=4)) == 2
    assert attention_alignment(joint, clips[0], [4, 5]).device.type == "cpu"


def test_a_study_of_scaling_trains(device):
    text = "to be or not to be, that is the question. " * 20
    study = CharacterScaling(Corpus("toy", "stand-in", text, text[:300], text[:300]))
    assert study.train(8, steps=2, device=device).loss > 0


@pytest.mark.parametrize("device_type", ["cuda", "mps"])
def test_times_are_those_of_finished_work(device_type):
    with pretended_device(device_type, strict_clock=True) as device:
        x = torch.ones(2, device=device) + 1  # still at work when the first call is timed
        for num_warmup_calls in (0, 1):
            options = {"num_repeats": 2, "num_warmup_calls": num_warmup_calls}
            assert median_milliseconds(lambda: x + 1, **options) >= 0
