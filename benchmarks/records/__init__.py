"""The benchmark ``records``: how far a processor comes with the book's library, named by steps.

- ``__main__``: its command.
- ``de_en_transformer``: a Transformer for Multi30k, German to English.
- ``en_de_transformer``: the same from English to German.
- ``task``: the sentence pairs.
- ``training``: one training run, which goes on from its checkpoint.
- ``evaluation``: the choice of a ranking on validation, and the test.
- ``record_run``: the run of one record, with the version of its own code.

Each record depends on its own module and on what that imports: another record makes no row old.
"""
