"""The rules of decoding and their settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.generation.task import LENGTH, PASSAGES, PROMPT
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample

BEAM_SIZE = 4
GRIDS: dict[str, Sequence[float]] = {  # option of `SamplingConfig`: its values
    "temperature": (0.6, 0.8, 1.2),
    "top_k": (5, 20, 100),
    "top_p": (0.6, 0.8, 0.95),
    "min_p": (0.2, 0.05, 0.01),
    "typical_p": (0.6, 0.8, 0.95),
    "repetition_penalty": (1.2,),
    "frequency_penalty": (0.3,),
    "presence_penalty": (0.3,),
}


@dataclass(frozen=True)
class Rule:
    """A rule with its setting.

    Parameters
    ----------
    option
        An option of `SamplingConfig`, "plain", "greedy", "beam" or "real".
    value
        Its value; None where it has none.
    writer
        The model that writes, of `GenerationTask`.
    """

    option: str
    value: float | None = None
    writer: str = "GPT"

    @property
    def name(self) -> str:
        """The name of the arm."""
        named = self.option if self.value is None else f"{self.option} {self.value:g}"
        return named if self.writer == "GPT" else f"{self.writer}, {named}"

    def write(
        self, writer: Any, prompts: torch.Tensor, real: torch.Tensor, *, seed: int
    ) -> list[list[int]]:
        """Continue passages.

        Parameters
        ----------
        writer
            The model.
        prompts, real
            The beginnings (B, PROMPT) and the true continuations (B, LENGTH).
        seed
            The seed of the draws.

        Returns
        -------
        texts : list of list of int
            LENGTH pieces for each passage.
        """
        length = real.shape[1]
        if self.option == "real":
            return real.tolist()
        if self.option == "greedy":
            return greedy_search(writer, prompts, max_length=length)
        if self.option == "beam":
            beam = BeamConfig(BEAM_SIZE, length_penalty=0.0)
            found = beam_search(writer, prompts, None, beam=beam, max_length=length)
            return [hypotheses[0].ids for hypotheses in found]
        options = {} if self.value is None else {self.option: self.value}
        if self.option == "top_k":
            options = {"top_k": int(options["top_k"])}
        sampling = SamplingConfig(prompt_length=prompts.shape[1], **options)  # type: ignore[arg-type]  # one dict, several types
        generator = torch.Generator().manual_seed(seed)
        return sample(writer, prompts, sampling=sampling, max_length=length, generator=generator)


RULES = (
    Rule("real"),
    Rule("plain"),
    Rule("greedy"),
    Rule("beam", BEAM_SIZE),
    Rule("plain", writer="n-gram"),
    Rule("plain", writer="unigram"),
    *(Rule(option, value) for option, values in GRIDS.items() for value in values),
)
SETTINGS = {"passages": PASSAGES, "prompt": PROMPT, "length": LENGTH}
