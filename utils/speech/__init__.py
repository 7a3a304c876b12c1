"""Speech recognition (section 6.3): from samples to features, training, CTC and attention.

- ``audio``: clips of one sample rate and loudness; noise, speed changes, concatenation.
- ``features``: log-mel features of a clip.
- ``audio_batches``: batches of clips with their transcripts.
- ``ctc``: connectionist temporal classification: likelihood, gradient, best path.
- ``ctc_inputs``: validation of log-probabilities, lengths and texts.
- ``ctc_beam_search``: prefix beam search, with a language model if there is one.
- ``ctc_prefixes``: the prefixes of texts that the search keeps.
- ``shallow_fusion``: the language model's part of that search.
- ``ctc_recognizer``: a recognizer with one output, for CTC.
- ``joint_recognizer``: a recognizer with two outputs on one encoder, for CTC and attention.
- ``training``: the objectives of both, and their training.
- ``transcription``: log-probabilities and texts that trained recognizers return for clips.
- ``digits``: strings of spoken digits, made from recordings of single ones.
- ``announcements``: synthetic announcements of a railway station.
"""
