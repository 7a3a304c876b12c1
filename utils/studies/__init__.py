"""Self-contained studies that the book makes with its own models.

- ``scaling_law``: the loss as a function of parameters and training tokens: the law, its fit and
  its optimum.
- ``scaling_runs``: the training runs whose losses the law is fitted to.
- ``collectives``: ring collectives and pipeline schedules, simulated in one process.
"""
