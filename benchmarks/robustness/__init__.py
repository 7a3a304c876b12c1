"""Noise, attacks, poison and memory: for section 8.3.

``noise`` damages sentences, ``networks`` has the classifier and the losses that it is trained by,
``sentences`` the film reviews, ``classifiers`` trains on damaged or attacked sentences,
``counting`` trains linear models on damaged ones (a command by itself), ``attacks`` swaps words and
searches for a suffix, ``poison`` plants a trigger, ``suffixes`` attacks the stored GPT,
``canaries`` measures what it memorizes, ``parts`` lists what is run, and ``__main__`` is the
command.
"""
