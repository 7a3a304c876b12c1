"""Checks, results and figures of the notebooks; independent of the rest of the library.

Modules
-------
check
    Compare two computations of an equation.
results
    Show and store the results of a notebook; read those of the benchmarks.
plotting
    The common style of all figures, line plots and heat maps.
"""
