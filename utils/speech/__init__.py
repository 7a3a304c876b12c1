"""Speech recognition (section 6.3): from samples to features, training, CTC and attention.

- ``audio``: clips of one sample rate and loudness; noise, speed changes, concatenation.
- ``features``: log-mel features of a clip.
- ``batches``: batches of clips with their transcripts.
- ``ctc``: connectionist temporal classification: likelihood, gradient, best path.
- ``ctc_search``: prefix beam search, with a language model if there is one.
- ``shallow_fusion``: the language model's part of that search.
- ``ctc_recogniser``: a recogniser trained with CTC, and its training.
- ``joint_recogniser``: CTC and an attention decoder on one encoder.
- ``digits``: strings of spoken digits, made from recordings of single ones.
- ``announcements``: synthetic announcements of a railway station.
"""
