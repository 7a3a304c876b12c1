"""The run of one record, whose rows depend on the code of that record alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from benchmarks.result_files import Run


class RecordRun(Run):
    """A run of ``python -m benchmarks.records`` with the version of one record's code."""

    @classmethod
    def of_record(cls, module: str, arguments: Sequence[str]) -> Run:
        """Return a run of one record that starts now.

        Parameters
        ----------
        module
            The record's module in ``benchmarks.records``.
        arguments
            The arguments of the command line.

        Returns
        -------
        run : RecordRun
            The run.
        """
        return cls.start(f"records.{module}", _without_checkpoints(arguments))

    @property
    def command(self) -> str:
        """The command line without `--out` and `--checkpoints`."""
        words = shlex.split(super().command)
        return shlex.join([*words[:2], "benchmarks.records", *words[3:]])


def _without_checkpoints(arguments: Sequence[str]) -> list[str]:
    """Return arguments without the folder of checkpoints, which belongs to one machine."""
    kept = list(arguments)
    while "--checkpoints" in kept:
        start = kept.index("--checkpoints")
        del kept[start : start + 2]
    return kept
