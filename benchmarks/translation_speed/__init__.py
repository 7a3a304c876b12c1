"""The benchmark ``translation_speed``: the speed of training and decoding translators.

- ``__main__``: its command.
- ``training``: the book's models compared with those of well-known tutorials.
- ``decoding``: batches with caches compared with one sentence at a time.
- ``tutorial_rnns``, ``tutorial_transformer``: the tutorials' models.
"""
