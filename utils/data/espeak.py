"""The speech synthesizer eSpeak NG, through its C library.

It synthesizes the stand-in for a corpus of spoken digits (``utils.data.standins.spoken_digits``)
and the announcements of section 6.3. The package ``espeakng_loader`` contains the library and its
voices.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

from utils.arguments import check_integer
from utils.data.checks import check_text
from utils.data.examples import SAMPLE_RATE

MAX_PATH_BYTES = 120  # of the data folder: eSpeak NG has 160 bytes for the whole path of a file
ENGLISH_DATA = (
    "phondata",
    "phonindex",
    "phontab",
    "intonations",
    "en_dict",
    "lang/gmw",
    "voices/!v",
)

# constants of eSpeak NG's header speak_lib.h
_AUDIO_OUTPUT_SYNCHRONOUS = 2  # pass the samples to the callback, play nothing
_INITIALIZE_DONT_EXIT = 0x8000  # report an error instead of ending the process
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_POSITION_IN_CHARACTERS = 1
_CHARS_UTF8 = 1
_FULL_SCALE = 32768  # samples are 16-bit integers

VOICE_PATTERN = re.compile(r"[\w-]{0,60}(\+[\w -]{1,30})?", re.ASCII)
"""Names of voices; for a longer variant, eSpeak NG writes beyond its memory."""
_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Utterance(NamedTuple):
    """A text and how to speak it.

    Parameters
    ----------
    text
        The text to speak, in English.
    voice
        A voice of eSpeak NG, with or without a variant, such as "en-us+f2".
    pitch
        The base pitch, from 0 to 99.
    words_per_minute
        The speed of speech, from 80 to 450.
    """

    text: str
    voice: str
    pitch: int
    words_per_minute: int


def synthesize(utterances: Iterable[Utterance]) -> list[np.ndarray]:
    """Synthesize several utterances.

    Returns
    -------
    sounds : list of numpy.ndarray
        The samples of each utterance, (N,) float32 between −1 and 1, SAMPLE_RATE per second.

    Raises
    ------
    RuntimeError
        If eSpeak NG reports an error, such as an unknown voice.
    ValueError
        As `Synthesizer.speak` does.
    """
    with open_synthesizer() as synthesizer:
        return [synthesizer.speak(utterance).astype(np.float32) for utterance in utterances]


@contextmanager
def open_synthesizer() -> Iterator[Synthesizer]:
    """Run the synthesizer within the block, for a caller that needs one sound at a time.

    Two processes that synthesize the same utterances in the same order get the same samples. Within
    one process a sound depends slightly on all those before it, even in an earlier block.

    Yields
    ------
    synthesizer : Synthesizer
        The running synthesizer.

    Raises
    ------
    RuntimeError
        If eSpeak NG cannot start.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    with _short_path(Path(espeakng_loader.get_data_path())) as folder:
        native_rate = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(folder), _INITIALIZE_DONT_EXIT
        )
        if native_rate <= 0:
            raise RuntimeError(
                f"eSpeak NG cannot start from its data in {folder} (code {native_rate})"
            )
        try:
            yield Synthesizer(library, native_rate)
        finally:
            library.espeak_Terminate()


class Synthesizer:
    """A running synthesizer, started and ended by `open_synthesizer`.

    Parameters
    ----------
    library
        The C library of eSpeak NG, initialized.
    native_rate
        The samples per second that it returns.
    """

    def __init__(self, library: ctypes.CDLL, native_rate: int) -> None:
        self._library = library
        self._native_rate = native_rate
        self._chunks: list[np.ndarray] = []
        self._callback = _SynthCallback(self._collect)  # C holds no reference to it
        # without a seed, the noise in consonants depends on the clock
        _check(library.espeak_ng_SetRandSeed(1), "setting the seed")
        library.espeak_SetSynthCallback(self._callback)

    def speak(self, utterance: Utterance) -> np.ndarray:
        """Return the samples of one utterance, (N,) float64, SAMPLE_RATE per second.

        Raises
        ------
        RuntimeError
            If eSpeak NG reports an error or returns no sound.
        ValueError
            If the text or the name of the voice is none, the voice has no such variant, or pitch
            or speed is outside its range: C would cut or replace them, or write beyond its memory.
        """
        text, voice, pitch, words_per_minute = utterance
        _check_utterance(utterance)
        self._chunks.clear()
        self._set_voice(voice, pitch, words_per_minute)
        encoded = text.encode()
        code = self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POSITION_IN_CHARACTERS, 0, _CHARS_UTF8, None, None
        )
        _check(code, f"speaking {text!r}")
        if not self._chunks:
            raise RuntimeError(f"eSpeak NG returned no sound for {text!r}")
        samples = np.concatenate(self._chunks)
        length = len(samples) * SAMPLE_RATE // self._native_rate
        resampled: np.ndarray = resample_poly(samples, SAMPLE_RATE, self._native_rate)
        return resampled[:length]

    def _set_voice(self, voice: str, pitch: int, words_per_minute: int) -> None:
        """Set all parameters again, because they persist from one utterance to the next."""
        library = self._library
        _check(library.espeak_SetVoiceByName(voice.encode()), f"finding the voice {voice}")
        code = library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
        _check(code, f"setting the speed {words_per_minute}")
        code = library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
        _check(code, f"setting the pitch {pitch}")

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        """Keep a copy of the samples that the library passes; 0 asks for more."""
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)) / _FULL_SCALE)
        return 0


def _check_utterance(utterance: Utterance) -> None:
    """Raise ValueError for what the C library would not speak as it is given."""
    text, voice, pitch, words_per_minute = utterance
    check_text(text)
    if "\0" in text:
        raise ValueError(
            f"a text has the NUL character at position {text.index(chr(0))}, at which C ends it: "
            "leave it out"
        )
    if not isinstance(voice, str) or not VOICE_PATTERN.fullmatch(voice):
        raise ValueError(
            f"voice must be the name of a voice, with or without a variant, such as 'en-us' or "
            f"'en-us+f2'; got {voice!r}"
        )
    variant = voice.partition("+")[2]
    variants = Path(espeakng_loader.get_data_path(), "voices", "!v")
    if variant and not (variants / variant).is_file():
        known = ", ".join(sorted(path.name for path in variants.iterdir()))
        raise ValueError(f"there is no variant {variant!r} of a voice; choose from {known}")
    check_integer(minimum=0, maximum=99, pitch=pitch)
    check_integer(minimum=80, maximum=450, words_per_minute=words_per_minute)


def _check(code: int, action: str) -> None:
    """Raise RuntimeError if a return code of the library reports a failure."""
    if code != 0:
        raise RuntimeError(f"eSpeak NG failed at {action} (code {code})")


@contextmanager
def _short_path(folder: Path) -> Iterator[Path]:
    """Yield `folder`, or if its path is too long, a temporary copy of its English data."""
    if len(os.fsencode(folder)) <= MAX_PATH_BYTES:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        for name in ENGLISH_DATA:
            source, target = folder / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
        yield copy
