"""Noise, attacks, poison and memory: for section 8.3.

``noise`` damages sentences, ``networks`` has the classifier and its attacks on vectors,
``sentences`` the film reviews, ``classifiers`` trains with and without attacks and measures,
``longer`` compares training on attacks with its controls, ``counting`` trains linear models on
damaged sentences (two commands by themselves), ``attacks`` swaps words, ``poison`` plants a
trigger, ``canaries`` measures what the stored GPT memorizes, ``parts`` lists what is run, and
``__main__`` is the command.
"""
