"""Models: everything of the book that predicts tokens or labels.

All are torch modules but ``nbsvm``, which is a scikit-learn classifier. The n-gram models count and
estimate with NumPy; as torch modules without parameters, they are called as any language model.

``contract``
    The types of language models, encoders and decoders, and the only module that decoding imports.
``positions``, ``attention``, ``multi_head``, ``layers``, ``recurrent``
    What models are built from: positional encodings, attention as a function, attention with
    several heads and its key–value cache, Transformer and convolutional layers, torch's recurrent
    networks with the batch first.
``scores``
    Attention scores of recurrent decoders.
``language_models``, ``gpt``
    Neural language models: feed-forward and recurrent, and the Transformer GPT.
``ngram_counts``, ``ngram``
    Language models that count n-grams.
``encoders``, ``decoder_parts``, ``decoders``, ``attention_decoder``, ``transformer``
    Encoders and decoders.
``encoder_decoder``
    The model that joins an encoder and a decoder.
``classifiers``, ``nbsvm``
    Classifiers of texts: neural networks, and a linear one on n-gram counts.
"""
