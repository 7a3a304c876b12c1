"""Benchmarks of the book: longer runs than a notebook's, with several seeds.

Run them in the repository's root with ``python -m benchmarks.NAME``. Each writes its figures, with
where they came from, to book/results/NAME.json, which pages and notebooks read. The benchmarks:

``characters``         the book's recipe for a small GPT against nanoGPT's, on Tiny Shakespeare
``ladder``             neural language models of section 5.1 with several seeds
``loop``               the time of the training loop over that of a bare one
``reviews``            ten-fold cross-validation of section 9.1
``scaling``            loss by parameters and tokens, for section 2.2
``speech``             spoken digits, for section 6.3
``translation``        encoder–decoders on Multi30k, for section 6.1
``translation_speed``  the speed of their training and decoding, beside that of tutorials

The other modules are parts of these:

``record``                                    files of results, and what they say about a run
``rounds``                                    two speeds measured in turn
``stopwatch``                                 training time without validation
``character_task``, ``character_recipes``     data and models of ``characters``
``nanogpt``                                   the baseline of ``characters``
``ladder_recipes``                            models of ``ladder``
``speech_dates``, ``speech_isolated``,
``speech_lengths``, ``speech_task``           measurements of ``speech``
``translation_task``                          data of the two benchmarks of translation
``translation_recipes``                       models of ``translation``
``translation_evaluation``                    their test
``translation_speed_training``,
``translation_speed_decoding``                measurements of ``translation_speed``
``tutorial_rnns``, ``tutorial_transformer``   rivals of ``translation_speed``
"""
