"""Self-contained studies that the book makes with its own models.

- ``scaling_law``: the loss as a function of parameters and training tokens: the law, its fit and
  its optimum.
- ``scaling_runs``: the training runs whose losses the law is fitted to.
- ``collectives``: sums over processes, simulated in one process to count what is sent.
- ``pipeline``: schedules of pipeline parallelism.
"""
