"""Self-contained studies that the book makes with its own models.

Modules
-------
scaling
    How the loss falls with parameters and training tokens: runs, the fitted law, its optimum.
collectives
    Ring collectives and pipeline schedules, simulated in one process.
"""
