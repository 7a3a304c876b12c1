"""Checks, claims, results and figures of the notebooks; independent of the rest of the library.

- ``check``: compares two computations of an equation, and tests claims about models.
- ``claims``: what a claim may say, and which test decides it; with ``arms`` (the values that are
  compared), ``seed_tests`` and ``item_tests`` (the tests, by scipy) and ``claim_evidence`` (the
  line and the record of a claim).
- ``agreement``: the error between two nested structures of numbers.
- ``evidence``: lines and records in the outputs of a notebook.
- ``results``: shows and stores the results of a notebook; reads those of the benchmarks.
- ``stored_seeds``: reads from the benchmarks one value for each seed.
- ``plotting``: the common style of all figures, line plots and heat maps.
- ``seed_plots``: means with bands over seeds, baselines, one look for each name.
"""
