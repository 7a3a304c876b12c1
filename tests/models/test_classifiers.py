"""Classifiers of texts: padding changes nothing, filters by hand, texts stay in their order."""

import numpy as np
import pytest
import torch
from torch import nn

from utils import runtime
from utils.data.batches import pad
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.models.classifiers import (
    Classifier,
    LanguageModelEncoder,
    WordCNNEncoder,
    predict_logits,
)
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerEncoder
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import label_nll

ENCODERS = {  # name → an encoder, and the length of its vector
    "RNN": lambda: (RNNEncoder(20, width=8), 8),
    "CNN": lambda: (
        WordCNNEncoder(20, embedding_size=6, num_filters=4, kernel_sizes=(2, 3, 5)),
        12,
    ),
    "Transformer": lambda: (TransformerEncoder(20, width=8, num_layers=2, num_heads=2), 8),
    "GPT": lambda: (
        LanguageModelEncoder(GPT(20, width=8, num_layers=2, num_heads=2, zero_init=False)),
        8,
    ),
    "LSTM": lambda: (LanguageModelEncoder(RNNLM(20, width=8, cell="lstm", tied=True)), 8),
}


def make_classifier(name: str, **options) -> Classifier:
    encoder, input_size = ENCODERS[name]()
    return Classifier(encoder, input_size=input_size, **options)


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_no_logits(name):
    runtime.seed_everything(0)
    model = make_classifier(name).double().eval()
    sequences = [[5, 6], [7, 8, 9, 10, 11, 12, 13], [14, 15, 16]]
    expected = torch.cat([model(torch.tensor([ids])) for ids in sequences])
    torch.testing.assert_close(model(pad(sequences)), expected, rtol=1e-12, atol=1e-12)


def test_a_classifier_is_a_linear_layer_on_its_encoders_vector():
    runtime.seed_everything(0)
    model = make_classifier("RNN", num_classes=3).double()
    ids = torch.tensor([[5, 6, 7], [8, 9, 0]])
    model.encoder.eval()
    assert not torch.equal(model(ids), model(ids)), "dropout of the vector in training"
    model.eval()
    expected = model.encoder(ids).vector @ model.output.weight.T + model.output.bias
    assert model(ids).shape == (2, 3)
    torch.testing.assert_close(model(ids), expected)


def test_a_filter_reads_each_window_that_contains_a_word_and_no_other():
    runtime.seed_everything(0)
    cnn = WordCNNEncoder(9, embedding_size=3, num_filters=2, kernel_sizes=(3,)).double().eval()
    convolution = cnn.convolutions[0]
    convolution.bias.data.fill_(5.0)  # a window without words would give 5
    convolution.weight.data.neg_()
    x = cnn.embedding.weight[[4, 5]]  # (2, E)
    activations = []
    for start in (-2, -1, 0, 1):
        window = [x[start + i] if 0 <= start + i < 2 else torch.zeros(3) for i in range(3)]
        products = (convolution.weight[:, :, i] @ window[i].double() for i in range(3))
        activations.append(sum(products) + convolution.bias)
    expected = torch.stack(activations).amax(0).relu()
    memory = cnn(torch.tensor([[4, 5, 0, 0, 0]]))
    torch.testing.assert_close(memory.vector[0], expected)
    torch.testing.assert_close(memory.states[0, :2], x)
    assert memory.is_token.tolist() == [[True, True, False, False, False]]
    convolution.bias.data.fill_(-5.0)
    assert not cnn(torch.tensor([[4, 5]])).vector.any(), "a filter below zero gives zero"


def test_the_word_vectors_of_a_cnn_start_uniformly_between_minus_and_plus_a_quarter():
    torch.manual_seed(0)
    weight = WordCNNEncoder(5000, embedding_size=16).embedding.weight.detach()
    assert weight.abs().max() <= 0.25 and weight.mean().abs() < 0.005
    assert abs(weight.std() / (0.25 / 3**0.5) - 1) < 0.02, "the deviation of a uniform distribution"


def test_a_language_model_encoder_has_the_mean_of_the_last_hidden_states():
    runtime.seed_everything(0)
    model = RNNLM(20, width=8, cell="lstm", tied=True).double()
    encoder = LanguageModelEncoder(model)
    ids = torch.tensor([[5, 6, 7], [8, 9, 0]])
    memory = encoder(ids)
    for i, length in enumerate((3, 2)):
        words = model.embedding(ids[i : i + 1, :length])
        states = model.rnn(words)[0][0]  # (length, D)
        torch.testing.assert_close(memory.states[i, :length], states)
        torch.testing.assert_close(memory.vector[i], states.mean(0))


def test_a_language_model_encoder_may_be_made_of_a_feed_forward_model():
    model = NNLM(20, order=3, hidden_size=8, use_direct_layer=False)
    memory = LanguageModelEncoder(model)(torch.tensor([[5, 6, 7], [8, 9, 0]]))
    assert memory.states.shape == (2, 3, 8) and memory.states.abs().max() <= 1


@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda: NNLM(20, hidden_size=20),
            "NNLM has a second output layer, direct_layer, .* use_direct_layer=False",
        ),
        (
            lambda: NGramLM.mle(NGramCounts([4, 5, 6], order=2, vocab_size=20)),
            "got NGramLM, which has no such layer",
        ),
        (lambda: lstm_seq2seq(20, width=4), "got EncoderDecoder, which has no such layer"),
        (lambda: RNNDecoder(20, width=4), "got RNNDecoder, which .* needs a source"),
        (lambda: TransformerEncoder(20, width=8, num_heads=2), "got TransformerEncoder, which has"),
    ],
)
def test_a_model_without_its_output_must_return_hidden_states(build, message):
    with pytest.raises(ValueError, match=message):
        LanguageModelEncoder(build())


def test_predictions_are_in_the_order_of_the_texts():
    runtime.seed_everything(0)
    model = make_classifier("RNN")
    sequences = [[5] * n for n in (3, 1, 2, 3, 9)]
    for batch_size in (200, 2):
        predictions = predict_logits(model, sequences, batch_size=batch_size)
        assert model.training, "predict_logits leaves the model's mode as it was"
        model.eval()
        for ids, logits in zip(sequences, predictions, strict=True):
            torch.testing.assert_close(logits, model(torch.tensor([ids]))[0])
        model.train()


def test_texts_may_be_lists_arrays_or_tensors():
    model = make_classifier("RNN")
    ids = torch.tensor([[5, 6], [7, 8]])
    expected = predict_logits(model, ids.tolist())
    for sequences in (ids, ids.numpy(), list(ids), iter(ids.tolist())):
        assert predict_logits(model, sequences).equal(expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_id_outside_the_vocabulary_is_named_before_the_model_reads_it(name):
    with pytest.raises(ValueError, match=r"ids \[99\] lie outside this vocabulary of"):
        predict_logits(make_classifier(name), [[5, 6], [7, 99]])


def test_texts_that_cannot_be_classified_are_named():
    model = make_classifier("RNN")
    with pytest.raises(ValueError, match="sequence 2 has no tokens"):
        predict_logits(model, [[5, 6], [7], [], [8]])
    with pytest.raises(ValueError, match="sequences is empty"):
        predict_logits(model, [])
    with pytest.raises(ValueError, match="kernel_sizes is empty"):
        WordCNNEncoder(9, kernel_sizes=())


def test_each_label_stays_with_its_text():
    examples = [([5 + n] * (1 + n % 3), n) for n in range(10)]
    for batches in (
        LabelledBatches(examples, batch_size=2, seed=0),
        labelled_eval_batches(examples, batch_size=2),
    ):
        pairs = [
            (int(ids[0]), int(label))
            for batch in batches
            for ids, label in zip(batch.inputs, batch.targets, strict=True)
        ]
        assert sorted(pairs) == [(5 + n, n) for n in range(10)]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_classifier_learns_which_word_a_text_contains(name):
    runtime.seed_everything(1)
    model = make_classifier(name, dropout=0.0)
    rng, examples = np.random.default_rng(0), []
    for _ in range(120):
        label, ids = int(rng.integers(2)), rng.integers(6, 20, int(rng.integers(2, 7))).tolist()
        ids[rng.integers(len(ids))] = 4 + label
        examples.append((ids, label))
    batches = LabelledBatches(examples, batch_size=30)
    config = TrainConfig(steps=120, learning_rate=1e-2)
    fit(model, batches, config, progress=False, objective=label_nll)
    logits = predict_logits(model, [ids for ids, _ in examples])
    is_right = logits.argmax(1) == torch.tensor([label for _, label in examples])
    assert is_right.float().mean() > 0.95


def test_fine_tuning_leaves_the_original_language_model_unchanged():
    model = GPT(20, width=8, num_layers=1, num_heads=2)
    before = model.embedding.weight.clone()
    classifier = Classifier(LanguageModelEncoder(model), input_size=8)
    classifier(torch.tensor([[5, 6]])).sum().backward()
    assert classifier.encoder.body.embedding.weight.grad is not None
    assert model.embedding.weight.grad is None and torch.equal(before, model.embedding.weight)
    assert isinstance(model.output, nn.Linear)


@pytest.mark.parametrize("encoder", [None, "CNN", lambda ids: ids])
def test_an_encoder_is_a_module(encoder):
    with pytest.raises(ValueError, match="encoder must be a torch module that returns a Memory"):
        Classifier(encoder, input_size=4)


def test_a_classifier_names_an_encoder_that_does_not_suit_it():
    ids = torch.tensor([[4, 5]])
    gpt = GPT(20, width=8, num_layers=1, num_heads=2)
    with pytest.raises(ValueError, match="but GPT returned a tuple: give an encoder"):
        Classifier(gpt, input_size=8)(ids)
    encoder, size = ENCODERS["CNN"]()
    with pytest.raises(ValueError, match=f"length {size}, but the classifier.*input_size={size}"):
        Classifier(encoder, input_size=size + 1)(ids)
    with pytest.raises(ValueError, match="GPT is not a classifier: it returns a tuple"):
        predict_logits(gpt, [[4, 5]])
