"""The parts of `utils.notebook.check.claim`: what a claim compares, how it is tested and reported.

- ``hypothesis``: what an author may claim, and its test.
- ``arms``: the values that are compared, checked and brought into one form.
- ``seed_tests``, ``item_tests``: the tests, by scipy.
- ``claim``: the outcome of a claim, its line for the reader and its stored record.
"""
