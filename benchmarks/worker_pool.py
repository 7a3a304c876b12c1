"""Worker processes that do not outlive the process that started them."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def worker_pool(num_processes: int) -> ProcessPoolExecutor:
    """Return a pool of worker processes, which end when this process does, however that happens."""
    context = get_context("spawn")
    return ProcessPoolExecutor(num_processes, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """End this worker as soon as its parent is gone; it would wait for jobs forever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
