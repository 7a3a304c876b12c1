"""Recognition: which clips are computed together, and the search of `transcribe`."""

import numpy as np
import pytest
import torch

from tests.helpers.tensors import multiply_weights, same
from tests.helpers.tones import TONE_VOCAB_SIZE, make_tone, random_strings
from utils.data.vocabulary import BOS, EOS
from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.generation import NEVER_GENERATED
from utils.speech.audio_batches import log_mel_batch
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.recognition import clip_log_probs, transcribe

sample_examples = random_strings(count=8, length=3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecognizer(TONE_VOCAB_SIZE, width=8).double().eval()


def test_clips_of_similar_length_are_computed_together_shortest_first(monkeypatch):
    tone = make_tone(440)
    clips = [tone[:length] for length in (900, 4000, 1000, 3000, 2000)]
    model = CTCRecognizer(TONE_VOCAB_SIZE, width=8, num_layers=1).eval()
    expected = [clip_log_probs(model, [clip])[0] for clip in clips]
    groups, forward = [], model.forward

    def record(features, lengths):
        groups.append(lengths.tolist())
        return forward(features, lengths)

    monkeypatch.setattr(model, "forward", record)
    log_probs = clip_log_probs(model, clips, batch_size=2)
    frames = [log_mel_batch([clip])[1].item() for clip in clips]
    assert groups == [[frames[i] for i in group] for group in ([0, 2], [4, 3], [1])]
    assert [x.shape for x in log_probs] == [x.shape for x in expected]
    for i in (1, 2, 3):  # the longest of their groups, which are not padded
        assert same(log_probs[i], expected[i], 1e-6)
    assert log_probs[0].dtype == torch.float64
    assert clip_log_probs(model, []) == []


def test_a_beam_finds_what_is_at_least_as_likely(model):
    clips, _ = sample_examples(np.random.default_rng(1), 0)
    model = model.float()

    def log_prob(clip, ids):
        state = model.encode(*log_mel_batch([clip]))
        logits, _ = model(torch.tensor([[BOS, *ids]]), state)
        logits[..., list(NEVER_GENERATED)] = float("-inf")
        tokens = torch.tensor([*ids, EOS][:6])  # cut off at six: no EOS
        return logits[0].log_softmax(-1)[range(len(tokens)), tokens].sum().item()

    for clip in clips[:3]:
        (greedy_ids,), (beam_ids,) = (
            transcribe(model, [clip], beam_size=size, max_length=6) for size in (1, 8)
        )
        assert max(len(greedy_ids), len(beam_ids)) <= 6
        assert log_prob(clip, beam_ids) >= log_prob(clip, greedy_ids) - 1e-6


def test_texts_of_a_beam_are_ranked_by_log_p_alone_and_cut_off_at_max_length(model):
    """The texts are those of the search without length normalization, which would choose others."""
    model = multiply_weights(model.float(), 2)
    clips, _ = sample_examples(np.random.default_rng(1), 0)
    texts = {1.0: [], 0.0: []}
    for clip in clips:
        state = model.encode(*log_mel_batch([clip]))
        for alpha, results in texts.items():
            config = BeamConfig(3, alpha=alpha)
            (row,) = beam_search(model, torch.tensor([[BOS]]), state, config, max_length=5)
            results.append(row[0].ids)
    assert texts[0.0] != texts[1.0] and 5 in map(len, texts[0.0])
    assert [transcribe(model, [clip], beam_size=3, max_length=5)[0] for clip in clips] == texts[0.0]


def test_a_beam_size_below_one_is_refused(model):
    clips, _ = sample_examples(np.random.default_rng(1), 0)
    with pytest.raises(ValueError, match="beam_size must be a whole number from 1"):
        transcribe(model.float(), clips, beam_size=0)
