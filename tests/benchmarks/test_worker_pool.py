"""Worker processes of benchmarks."""

import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.result_files import ROOT

# Prints the number of its worker's process, which then waits for a job.
PARENT = """
import os, time
from benchmarks.worker_pool import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def is_running(process):
    """Whether a process exists and is not a zombie that nobody has waited for."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return not status.stdout.strip().startswith("Z")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    """Even if that is killed; it would wait for its next job forever."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        os.kill(parent.pid, signal.SIGKILL)
    try:
        while is_running(worker):  # the time limit of the test ends this
            time.sleep(0.1)
    finally:
        if is_running(worker):
            os.kill(worker, signal.SIGKILL)
