"""The LSTM translator of section 5.2: the order of its source, and a longer training.

``task`` has the data and the recipes, ``control`` a model without its source, ``training`` trains
one and stores what it gave,
``measures`` computes losses and BLEU, ``search`` keeps what a beam search keeps, and ``__main__``
is the command.
"""
