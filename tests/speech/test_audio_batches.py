"""Batches of clips: padding, and randomness that depends on seed and step alone."""

import numpy as np
import pytest
import torch

from tests.helpers.tones import make_tone, random_strings
from utils.data.batches import IGNORE_INDEX
from utils.speech.audio_batches import AudioBatches, audio_batch
from utils.speech.features import NUM_MEL_BANDS, log_mel

TONE = 0.5 * make_tone(440)
sample_examples = random_strings(count=4, length=2)


def test_a_batch_depends_on_seed_and_step_alone():
    one, two = (AudioBatches(sample_examples, seed=3) for _ in range(2))
    for _ in range(2):
        assert torch.equal(one[5].features, two[5].features)
        assert torch.equal(one[5].targets, two[5].targets)
    assert not torch.equal(one[5].targets, one[6].targets)
    assert not torch.equal(one[5].targets, AudioBatches(sample_examples, seed=4)[5].targets)


def test_shorter_clips_and_texts_are_padded():
    batch = audio_batch([TONE, TONE[:900]], [[4], [5, 6, 4]])
    assert batch.lengths.tolist() == [97, 9] and batch.features.shape == (2, 97, NUM_MEL_BANDS)
    assert batch.targets.tolist() == [[4, IGNORE_INDEX, IGNORE_INDEX], [5, 6, 4]]
    assert not batch.features[1, 9:].any()
    assert torch.equal(batch.features[1, :9], log_mel(TONE[:900]).float())


def test_a_batch_moves_to_a_device_as_a_whole():
    batch = audio_batch([TONE], [[4]]).to("meta")
    assert {x.device.type for x in vars(batch).values()} == {"meta"}


def test_a_batch_without_clips_is_refused():
    with pytest.raises(ValueError, match="a batch needs at least one clip"):
        audio_batch([], [])


def test_each_clip_needs_a_transcript():
    with pytest.raises(ValueError, match="each clip needs a transcript; got 2 and 1"):
        audio_batch([TONE, TONE], [[4]])


def test_the_ids_of_a_transcript_are_whole_numbers():
    assert audio_batch([TONE, TONE], [[4, 5], []]).targets.tolist() == [
        [4, 5],
        [IGNORE_INDEX, IGNORE_INDEX],
    ]
    with pytest.raises(ValueError, match=r"token ids must be integers; got 4\.5"):
        audio_batch([TONE], [[4.5]])


def test_an_endless_stream_is_not_iterated_over():
    with pytest.raises(TypeError, match="AudioBatches is an endless stream of training batches"):
        iter(AudioBatches(sample_examples))


def test_a_step_before_the_first_is_refused():
    with pytest.raises(ValueError, match="steps count from 0; got -1"):
        AudioBatches(sample_examples)[-1]


def test_the_generator_of_a_step_makes_all_random_choices():
    """Whatever was drawn before, from NumPy's global generator too."""
    batches = AudioBatches(sample_examples, seed=3)
    first = batches[2].features
    np.random.seed(7)
    batches[1]
    assert torch.equal(batches[2].features, first)
