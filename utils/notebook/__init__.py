"""Checks, results and figures of the notebooks; independent of the rest of the library.

- ``check``: compares two computations of an equation.
- ``results``: shows and stores the results of a notebook; reads those of the benchmarks.
- ``plotting``: the common style of all figures, line plots and heat maps.
"""
