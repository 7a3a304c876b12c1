"""The shared library of the book: packages around one contract.

Every language model, decoder and encoder–decoder is called as ``model(ids, state) -> (logits,
state)``, with ``ids`` (B, T) and ``logits`` (B, T, V); ``utils.contract`` states it as types.
Classifiers and CTC recognizers, which predict no next token, have calls of their own. Each module
or package imports only those named before it; ``contract``, ``metrics`` and ``runtime`` are
independent of each other, and so are ``decoding`` and ``training``, ``speech`` and ``studies``:

``torch_internals`` private names of torch, which no other module uses
``arguments`` checks of integers, of numbers and of names of choices
``conversions`` numbers, integers and texts of any kind as Python's own
``console``   printing on any console
``files``     files written completely or not at all, and texts in any encoding
``interrupts`` Ctrl-C, SIGTERM and SIGHUP between two steps
``states``    states of models, and the memory of an encoder
``runtime``   device, seeds, precision
``contract``  the types of all models
``metrics``   likelihood, text, significance, calibration, cost
``data``      corpora, tokenizers, batches, offline stand-ins
``models``    attention, layers, language models, n-grams, encoders, decoders, classifiers
``decoding``  sampling, greedy and beam search, scoring, mixtures of models
``training``  configuration, objectives, the loop, optimizers, checkpoints, many processes
``speech``    features, CTC, recognizers, spoken digits and announcements
``studies``   scaling laws, collectives, pipelines: what one section measures and another reads
``command``   ``python -m utils.training``
``notebook``  checks, results and figures of the notebooks; uses ``arguments``, ``conversions``,
              ``console`` and the randomization test of ``metrics`` alone
"""
