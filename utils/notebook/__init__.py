"""Checks, results and figures of the notebooks.

Of the rest of the library they use only checks of arguments, printing and the randomization test.

What a chapter imports:

- ``check``: compares two computations of an equation, and tests claims about models.
- ``results``: shows and stores the results of a notebook; reads those of the benchmarks.
- ``seed_results``: reads from the benchmarks one value for each seed.
- ``plotting``: the common style of all figures, line plots and heat maps.
- ``fonts``: the Chinese fonts of the figures.
- ``seed_plots``: means with bands over seeds, baselines, one look for each name.
- ``own_process``: runs a function of a notebook in a process of its own.

What ``check`` consists of:

- ``relative_error``: the error between two nested structures of numbers.
- ``claims``: the tests of claims, and their reports.
- ``cell_output``: lines and records in the outputs of a notebook's cells.
- ``evidence``: the records in words, here and on the book's pages.
"""
