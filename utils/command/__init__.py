"""The command line ``python -m utils.training``: trains any neural language model of the book.

- ``catalogue``: the models by name, the data that they are trained on, and how both are built.
- ``job``: everything that one command line asks for.
- ``parser``: the options, read off the signatures and docstrings of all these.
- ``run``: trains what the command line asks for, and loads what a run has left.
"""
