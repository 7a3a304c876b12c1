"""Self-contained studies that the book makes with its own models.

Modules
-------
scaling_law
    The loss as a function of parameters and training tokens: the law, its fit and its optimum.
scaling_runs
    The training runs whose losses the law is fitted to.
collectives
    Ring collectives and pipeline schedules, simulated in one process.
"""
