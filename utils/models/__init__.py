"""Models: everything of the book that predicts tokens or labels.

All are torch modules but ``nbsvm``, which is a scikit-learn classifier. The n-gram models count and
estimate with NumPy; as torch modules without parameters, they are called as any language model.

``contract``
    The types of language models, encoders and decoders, and the only module that decoding imports.
``layers``
    Layers that many models have: scaled embedding, norms, and the output layer of all of them.
``positions``, ``attention``, ``multi_head``, ``transformer_layer``
    Parts of a Transformer: positional encodings, attention as a function, attention with several
    heads and its key–value cache, and the layer that joins them.
``recurrent``, ``attention_scores``
    Parts of recurrent models: torch's networks with the batch first, and scores of attention.
``language_models``, ``gpt``
    Neural language models: feed-forward and recurrent, and the Transformer GPT.
``ngram_texts``, ``ngram_counts``, ``ngram_estimates``, ``ngram``
    Language models that count n-grams.
``pooling``
    One vector for a source of several tokens, from any encoder.
``recurrent_encoders``, ``recurrent_decoders``, ``attention_decoder``, ``convolutional``,
``transformer``
    Encoders and decoders.
``encoder_decoder``
    The model that joins an encoder and a decoder.
``classifiers``, ``nbsvm``
    Classifiers of texts: neural networks, and a linear one on n-gram counts.
"""
