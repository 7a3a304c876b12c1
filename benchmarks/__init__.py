"""Benchmarks of the book: longer runs than a notebook's, with several seeds.

Run them in the repository's root with ``python -m benchmarks.NAME``. Each writes its figures, with
where they came from, to book/results/NAME.json, which pages and notebooks read. The benchmarks, of
which the larger ones are packages:

- ``after_pretraining``: instruction, preferences and rewards after pretraining, for section 8.4.
- ``attention``: what attention looks at and how it is trained, for section 4.2.
- ``bottleneck``: what a decoder reads from one vector, for section 2.3.
- ``characters``: the book's recipe for a small GPT compared with nanoGPT's, on Tiny Shakespeare.
- ``compression``: a trained GPT distilled and adapted, for section 8.1.
- ``generation``: rules of decoding compared on one stored GPT, for section 6.2.
- ``interpretability``: attributions, heads and features with controls, for section 8.2.
- ``ladder``: neural language models of section 5.1 with several seeds.
- ``ladder_controls``: equal passes, and mixtures of two n-gram models, for section 5.1.
- ``loop``: the time of the training loop relative to that of a bare one.
- ``memory``: recurrences on a delayed letter and on text, for section 4.1.2.
- ``optimization``: choices of training, each with its own tuned rate, for section 3.1.
- ``pairings``: pairs of an encoder and a decoder, for section 3.2.
- ``records``: how far one thread of a processor comes, in rows named by their steps.
- ``recurrence``: a GPT beside the recurrent networks that read text, for section 4.1.2.
- ``reviews``: classifiers of film reviews, and ten-fold cross-validation, for section 9.1.
- ``robustness``: noise, attacks, poison and memorization, for section 8.3.
- ``stored_models``: the GPT and the LSTM of book/models, trained for longer than a page can.
- ``stored_classifiers``: the classifiers of book/models, for the box of section 9.1.
- ``stored_translator``: the translator of book/models, for the boxes of sections 4.2 and 6.1.
- ``scaling``: loss by parameters and tokens, for section 2.2.
- ``seq2seq``: the LSTM translator of section 5.2, reversed or no source, and longer training.
- ``speech``: spoken digits, for section 6.3.
- ``transformer``: parts of a Transformer and what each is good for, for section 7.3.
- ``translation``: encoder–decoders on Multi30k, for section 6.1.
- ``translation_speed``: the speed of their training and decoding, compared with tutorials.
- ``window``: perplexity by the window of a feed-forward model, for section 4.1.1.

What they have in common:

- ``command_line``: the parser of their options, and the options that many of them have.
- ``code_version``: the version of the code that a result depends on.
- ``result_files``: files of results, and their provenance.
- ``timing``: stopwatches, and the comparison of two speeds.
- ``tuning``: the tuning of learning rates, whose trials are rows.
- ``worker_pool``: worker processes that end with the process that started them.
"""
