"""The command line ``python -m utils.training``: trains any neural language model of the book.

- ``training_data``: the data that a model is trained on, and how they are batched.
- ``catalogue``: the models by name, and how they are built.
- ``job``: everything that one command line asks for.
- ``parser``: the options, read off the signatures and docstrings of all these.
- ``run``: trains what the command line asks for.
- ``run_folder``: what a run leaves; `load_trained_model` loads the trained model.
"""
