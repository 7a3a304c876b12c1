"""The parts of `utils.notebook.check.claim`: what a claim compares, how it is tested and reported.

- ``evaluation``: what an author may claim, and how it is tested.
- ``arms``: the values that are compared, validated and converted.
- ``seed_tests``, ``item_tests``: the tests, by scipy.
- ``claim``: the outcome of a claim, its line for the reader and its stored record.
"""
