"""The benchmark ``characters``: the book's recipe for a small GPT compared with nanoGPT's.

- ``__main__``: its command.
- ``comparison``: both recipes in equal time.
- ``ablation``: each ingredient of the book's recipe added to those before it.
- ``recipes``: the recipes and their training.
- ``nanogpt``: the baseline, a model and a training loop in nanoGPT's manner.
- ``task``: the data.
- ``loss_curves``: validation losses by training time.
"""
