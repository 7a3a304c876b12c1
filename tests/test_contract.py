"""The contract of all models: model(ids, state) -> (logits, state), encode, begin and their states.

Each test runs on every model of tiny_models.py. What a model computes is tested where it is
defined; here the subject is that it can be trained, decoded, scored, optimized and saved as any
other.
"""

import inspect
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from tests.tensors import same
from tests.tiny_models import (
    ENCODER_DECODERS,
    IDS,
    LANGUAGE_MODELS,
    MODELS,
    SOURCE,
    V,
    initial_state,
    make,
)
from utils.data.batches import IGNORE, Batch
from utils.data.vocabulary import BOS, PAD, UNK
from utils.decoding.scoring import token_log_probs
from utils.decoding.state import map_tensors, select_rows
from utils.models.attention_decoder import AttentionDecoder, AttentionState
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNN
from utils.models.contract import Memory, TextScorer
from utils.models.decoders import CNNDecoder, CNNDecoderState, RNNDecoder, RNNDecoderState
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.encoders import CNNEncoder, LSTMEncoder, RNNEncoder
from utils.models.gpt import GPT, GPTState
from utils.models.language_models import LSTMLM, NNLM, RNNLM
from utils.models.multi_head import KVCache
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.speech.ctc_recogniser import CTCRecogniser
from utils.speech.features import MEL_BANDS
from utils.speech.joint_recogniser import JointRecogniser
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import cross_entropy

PRECISION = {torch.float32: 4e-6, torch.float64: 1e-12}
STATES = {
    NNLM: torch.Tensor,
    RNNLM: torch.Tensor,
    LSTMLM: tuple,  # (h, c), as torch's
    GPT: GPTState,
    RNNDecoder: RNNDecoderState,
    AttentionDecoder: AttentionState,
    CNNDecoder: CNNDecoderState,
    TransformerDecoder: TransformerDecoderState,
}
"""The type of each model's state."""
NAMED_TUPLES = (
    Memory,
    KVCache,
    GPTState,
    RNNDecoderState,
    AttentionState,
    CNNDecoderState,
    TransformerDecoderState,
)


def tensors(state) -> list[torch.Tensor]:
    """The tensors of a state, in order; None is left out."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf is not None]


def types(state) -> list[type]:
    """The type of a state, those of its parts, of their parts, and so on."""
    if state is None or isinstance(state, torch.Tensor):
        return [type(state)]
    parts = state.values() if isinstance(state, dict) else state
    return [type(state), *(part_type for part in parts for part_type in types(part))]


# -- logits and state ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", MODELS)
def test_one_long_call_is_many_short_ones_that_hand_the_state_on(name, dtype):
    model = make(name, dtype)
    expected, last_state = model(IDS, initial_state(model))
    assert expected.shape == (*IDS.shape, V) and expected.dtype == dtype
    assert expected.std() > 0.01
    tolerance = PRECISION[dtype] * max(1.0, expected.abs().max().item())
    for lengths in ([1] * 5, [2, 3], [3, 1, 1]):
        state, parts = initial_state(model), []
        for ids in IDS.split(lengths, 1):
            logits, state = model(ids, state)
            parts.append(logits)
        assert same(torch.cat(parts, 1), expected, tolerance)
        pairs = zip(tensors(state), tensors(last_state), strict=True)
        assert all(same(a, b, tolerance) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_later_token_changes_its_own_logits_but_no_earlier_ones(name):
    model = make(name)
    before = model(IDS, initial_state(model))[0]
    for t in range(IDS.shape[1]):
        changed = IDS.clone()
        changed[:, t] = 3 + (IDS[:, t] - 2) % (V - 3)
        after = model(changed, initial_state(model))[0]
        assert torch.equal(before[:, :t], after[:, :t])
        assert (before[:, t] - after[:, t]).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_its_rows_one_at_a_time(name):
    model = make(name)
    logits, state = model(IDS, initial_state(model))
    for i in range(len(IDS)):
        row_logits, row_state = model(IDS[i : i + 1], initial_state(model, slice(i, i + 1)))
        assert same(row_logits[0], logits[i])
        pairs = zip(tensors(row_state), tensors(state), strict=True)
        assert all(same(a[0], b[i]) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_call_does_not_change_its_arguments(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    copies = [tensor.clone() for tensor in tensors(state)]
    model(IDS[:, :1], state)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), copies, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = make(name)
    for parameter in model.parameters():  # zeros at the start would stop gradients
        parameter.data += 0.1 * torch.randn_like(parameter)
    logits, _ = model(IDS, initial_state(model))
    F.cross_entropy(logits.flatten(0, 1), IDS.roll(-1, 1).flatten()).backward()
    for key, parameter in model.named_parameters():
        if name == "fixed → transformer" and ("attention.query" in key or "norm_cross" in key):
            continue  # the weight of an only state is 1 whatever the query
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_can_be_learned_by_heart(name):
    torch.manual_seed(0)
    model = MODELS[name](24)
    source = SOURCE if isinstance(model, EncoderDecoder) else None
    inputs = torch.cat([torch.full((4, 1), 1), IDS[:, 1:]], 1)
    targets = torch.cat([IDS[:, 1:], torch.full((4, 1), 2)], 1)
    batch = Batch(inputs, targets, source)
    fit(model, [batch] * 100, TrainConfig(steps=100, learning_rate=3e-2), progress=False)
    context_length = 1 if name == "LM: nnlm, one word" else 5
    assert evaluate(model, [batch]).loss < lowest_loss(batch, context_length) + 0.05


def lowest_loss(batch: Batch, context_length: int) -> float:
    """The mean of −log of the relative frequency of each target after its source and context."""
    if batch.source is not None:
        return 0.0  # each row has a source of its own
    counts: dict[tuple, dict[int, int]] = {}
    for row, row_targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        for t, target in enumerate(row_targets):
            followers = counts.setdefault(tuple(row[: t + 1][-context_length:]), {})
            followers[target] = followers.get(target, 0) + 1
    losses = [
        -n * torch.tensor(n / sum(followers.values())).log()
        for followers in counts.values()
        for n in followers.values()
    ]
    return float(sum(losses)) / batch.targets.numel()


# -- states -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_state_is_of_the_type_that_belongs_to_its_model(name):
    model = make(name)
    state_type = STATES[type(model.decoder if isinstance(model, EncoderDecoder) else model)]
    states = [model(IDS[:, :1], initial_state(model))[1], model(IDS, initial_state(model))[1]]
    if isinstance(model, EncoderDecoder):
        states.append(initial_state(model))
    for state in states:
        assert type(state) is state_type
        assert not any(issubclass(part_type, (dict, list)) for part_type in types(state))


@pytest.mark.parametrize("name", MODELS)
def test_keys_and_values_are_kv_caches(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    for field in ("caches", "memory_caches"):
        for cache in getattr(state, field, ()):
            assert type(cache) is KVCache and cache.keys.shape == cache.values.shape


def test_states_and_memories_are_named_tuples():
    for state_type in NAMED_TUPLES:
        assert issubclass(state_type, tuple) and state_type._fields
    assert {t for t in STATES.values() if t not in (torch.Tensor, tuple)} <= set(NAMED_TUPLES)


@pytest.mark.parametrize("name", MODELS)
def test_torchs_trees_flatten_a_state_and_rebuild_it(name):
    """So that torch.func, torch.export and others take states as they are."""
    model = make(name)
    for state in (initial_state(model), model(IDS, initial_state(model))[1]):
        leaves, structure = pytree.tree_flatten(state)
        assert all(leaf is None or isinstance(leaf, torch.Tensor) for leaf in leaves)
        rebuilt = pytree.tree_unflatten(leaves, structure)
        assert types(rebuilt) == types(state)
        assert all(a is b for a, b in zip(tensors(rebuilt), tensors(state), strict=True))
        doubled = pytree.tree_map_only(torch.Tensor, lambda x: x + x, state)
        mapped = map_tensors(lambda x: x + x, state)
        assert types(mapped) == types(state)
        pairs = zip(tensors(doubled), tensors(mapped), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_a_state_has_the_batch_first_and_can_be_reordered(name):
    model = make(name)
    state = model(IDS, initial_state(model))[1]
    assert tensors(state) and all(len(tensor) == len(IDS) for tensor in tensors(state))
    rows = torch.tensor([3, 0, 0, 2, 1])
    selected = select_rows(state, rows)
    assert types(selected) == types(state)
    pairs = zip(tensors(selected), tensors(state), strict=True)
    assert all(torch.equal(a, b[rows]) for a, b in pairs)
    token = torch.tensor([[4], [5], [6], [7], [8]])
    logits = model(token, selected)[0]
    sources = rows if isinstance(model, EncoderDecoder) else slice(None)
    expected = model(torch.cat([IDS[rows], token], 1), initial_state(model, sources))[0]
    assert same(logits[:, 0], expected[:, -1])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_a_first_state_can_be_reordered(name):
    model, rows = make(name), torch.tensor([2, 0, 0])
    state = select_rows(model.encode(SOURCE), rows)
    assert same(model(IDS[rows], state)[0], model(IDS, model.encode(SOURCE))[0][rows])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_encode_begins_the_decoder_with_the_encoders_memory(name):
    model = make(name)
    memory = model.encoder(SOURCE)
    assert type(memory) is Memory and memory.is_token.dtype == torch.bool
    B, S = memory.states.shape[:2]
    assert memory.is_token.shape == (B, S) and memory.vector.shape == (B, 6) and B == len(SOURCE)
    state = model.decoder.begin(memory)
    assert all(len(tensor) == len(SOURCE) for tensor in tensors(state))
    pairs = zip(tensors(state), tensors(model.encode(SOURCE)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(model.decoder(IDS, state)[0], model(IDS, model.encode(SOURCE))[0])


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_the_source_matters(name):
    model = make(name)
    other = SOURCE.clone()
    other[:, 0] = 3
    difference = model(IDS, model.encode(SOURCE))[0] - model(IDS, model.encode(other))[0]
    assert difference.abs().amax((1, 2)).min() > 1e-6


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_further_padding_of_a_source_changes_nothing(name):
    model = make(name)
    expected = model(IDS, model.encode(SOURCE))[0]
    longer = model(IDS, model.encode(F.pad(SOURCE, (0, 3), value=PAD)))[0]
    assert same(longer, expected)
    for i, row in enumerate(SOURCE):
        logits = model(IDS[[i]], model.encode(row[row != PAD][None]))[0]
        assert same(logits[0], expected[i])


@pytest.mark.parametrize("name", MODELS)
def test_padding_of_targets_changes_neither_loss_nor_gradients(name):
    def loss_and_gradients(extra: int) -> list[torch.Tensor]:
        model = make(name)
        inputs, targets = (F.pad(IDS, (0, extra), value=value) for value in (PAD, IGNORE))
        source = SOURCE if isinstance(model, EncoderDecoder) else None
        loss = cross_entropy(model, Batch(inputs, targets, source))
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in model.parameters())]

    pairs = zip(loss_and_gradients(0), loss_and_gradients(3), strict=True)
    assert all(same(a, b, 1e-10) for a, b in pairs)


def test_a_decoder_that_has_read_no_source_is_refused():
    with pytest.raises(ValueError, match="model.encode"):
        make("lstm")(IDS)


# -- pickles ------------------------------------------------------------------------------------


def unpickled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_and_its_state_can_be_pickled(name):
    model = make(name)
    copy = unpickled(model)
    logits, state = model(IDS, initial_state(model))
    copied_logits, copied_state = copy(IDS, initial_state(copy))
    assert torch.equal(copied_logits, logits)
    assert len(list(copy.parameters())) == len(list(model.parameters())), "still tied"
    again = unpickled(state)
    assert types(again) == types(copied_state)
    step = IDS[:, :1]
    assert torch.equal(copy(step, again)[0], model(step, state)[0])
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(IDS, initial_state(loaded))[0], logits)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Classifier(WordCNN(V, embedding_size=4, filters=2), input_size=6),
        lambda: Classifier(LanguageModelEncoder(MODELS["LM: gpt"](6)), input_size=6),
        lambda: Classifier(TransformerEncoder(V, width=6, heads=2), input_size=6),
    ],
)
def test_a_classifier_can_be_pickled(build):
    torch.manual_seed(0)
    model = build().eval()
    assert torch.equal(unpickled(model)(SOURCE), model(SOURCE))


def test_an_n_gram_model_can_be_pickled():
    model = NGramLM.kneser_ney(NGramCounts(IDS, order=3, vocab_size=V))
    copy = unpickled(model)
    assert torch.equal(copy(IDS)[0], model(IDS)[0])
    assert torch.equal(copy.score(IDS[0]), model.score(IDS[0]))


# -- output_parameters and TextScorer -----------------------------------------------------------


def output_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters that the parts of a model declare to be of an output."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]
        for module in model.modules()
        if hasattr(module, "output_parameters")
        for parameter in module.output_parameters()
    }


def output_matrices(model: nn.Module, logits: torch.Tensor) -> set[str]:
    """Names of the matrices of which a row belongs to the logit of UNK, which was never read.

    Of an embedding that is not an output matrix too, such a row has no gradient.
    """
    logits[..., UNK].sum().backward()
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and len(parameter) == logits.shape[-1]
        if parameter.grad is not None and parameter.grad[UNK].any()
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_declared_output_parameters_are_the_matrices_behind_the_logits(name):
    model, ids = make(name), IDS.where(IDS != UNK, 4)
    assert not (SOURCE == UNK).any()
    expected = output_matrices(model, model(ids, initial_state(model))[0])
    assert expected and output_parameters(model) == expected


def test_a_recognisers_output_parameters_are_the_matrices_behind_its_logits():
    torch.manual_seed(0)
    features, lengths = torch.randn(2, 12, MEL_BANDS), torch.tensor([12, 12])
    model = CTCRecogniser(V, width=8, layers=1)
    log_probs, _ = model(features, lengths)
    assert output_matrices(model, log_probs) == output_parameters(model) == {"output.weight"}
    joint = JointRecogniser(V, width=8)
    assert output_parameters(joint) == {"encoder.output.weight", "decoder.embedding.weight"}


@pytest.mark.parametrize("name", [name for name in LANGUAGE_MODELS if "nnlm" not in name])
def test_of_a_classifier_the_output_is_its_last_layer_alone(name):
    """A language model inside has lost its output, and with it what it declared."""
    encoder = LanguageModelEncoder(LANGUAGE_MODELS[name](6))
    assert output_parameters(Classifier(encoder, input_size=6)) == {"output.weight"}


class CountingScorer:
    """A text scorer that counts how often it is asked, and refuses to compute logits."""

    calls = 0

    def score(self, ids: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return -ids.double()

    def __call__(self, ids, state=None):
        raise AssertionError("a text scorer was asked for all its logits")


def test_a_text_scorer_scores_a_text_itself():
    model, ids = CountingScorer(), torch.arange(4, 9)
    assert isinstance(model, TextScorer)
    assert torch.equal(token_log_probs(model, ids, chunk_length=2), -ids[1:].double())
    assert model.calls == 1


def test_an_n_gram_model_is_a_text_scorer_that_agrees_with_its_logits():
    model = NGramLM.kneser_ney(NGramCounts(IDS, order=3, vocab_size=V))
    assert isinstance(model, TextScorer)
    logits, _ = model(IDS[:1])
    expected = logits[0, :-1].log_softmax(-1).gather(1, IDS[0, 1:, None])[:, 0]
    # the first token is given: its log p is no part of the result
    state = torch.tensor([[BOS, BOS]])
    assert same(token_log_probs(model, IDS[0]), model.score(IDS[0], state)[1:])
    assert same(token_log_probs(model, IDS[0]), expected)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_neural_language_model_is_scored_by_its_logits(name):
    model = make(f"LM: {name}")
    assert not isinstance(model, TextScorer)
    with torch.no_grad():
        expected = model(IDS[:1, :-1])[0][0].log_softmax(-1).gather(1, IDS[0, 1:, None])[:, 0]
    assert same(token_log_probs(model, IDS[0], chunk_length=2), expected)


# -- sizes --------------------------------------------------------------------------------------

SIZES = {
    "classes",
    "context_length",
    "embedding_size",
    "filters",
    "heads",
    "hidden_size",
    "input_size",
    "kernel_size",
    "layers",
    "vocab_size",
    "width",
}
BUILDERS = (
    AttentionDecoder,
    CNNDecoder,
    CNNEncoder,
    GPT,
    LSTMEncoder,
    LSTMLM,
    NNLM,
    RNNDecoder,
    RNNEncoder,
    RNNLM,
    TransformerDecoder,
    TransformerEncoder,
    WordCNN,
    lstm_seq2seq,
)


@pytest.mark.parametrize("size", [0, -1, 1.5])
@pytest.mark.parametrize("build", BUILDERS)
def test_a_size_that_is_no_positive_whole_number_is_refused_by_its_name(build, size):
    names = SIZES & inspect.signature(build).parameters.keys()
    assert "vocab_size" in names
    for name in names:
        with pytest.raises(ValueError, match=f"^{name} must be a positive whole number, got"):
            build(**{"vocab_size": V} | {name: size})
    encoder = RNNEncoder(V, width=4)
    for name in ("input_size", "classes"):
        with pytest.raises(ValueError, match=f"^{name} must be a positive whole number, got"):
            Classifier(encoder, **{"input_size": 4} | {name: size})
