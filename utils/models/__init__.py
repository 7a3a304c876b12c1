"""Models: everything of the book that predicts tokens or labels.

All are torch modules but ``nbsvm``, which is a scikit-learn classifier. The n-gram models count and
estimate with NumPy; as torch modules without parameters, they are called as any language model.

``contract``
    The types of language models, encoders and decoders, and the only module that decoding imports.
``checks``
    Checks of what a model is given: ids, states, memories, and values in a compiled model.
``layers``
    Layers that many models have: scaled embedding, norms, and the output layer of all of them.
``positions``, ``attention``, ``multi_head``, ``kv_cache``, ``transformer_layer``,
``transformer_stack``
    Parts of a Transformer: positional encodings, attention as a function, attention with several
    heads and its key–value cache, the layer that joins them, and a stack of such layers.
``recurrent``, ``attention_scores``, ``gated_convolution``
    Parts of recurrent and convolutional models: torch's networks with the batch first, scores of
    attention, and the gated convolution.
``language_models``, ``gpt``, ``ngram_vectors``
    Neural language models: feed-forward and recurrent, and the Transformer GPT, which may add
    vectors of n-grams.
``ngram_texts``, ``ngram_counts``, ``ngram_estimates``, ``ngram``
    Language models that count n-grams.
``pooling``
    One vector for a source of several tokens, from any encoder.
``recurrent_encoders``, ``recurrent_decoders``, ``lstm_decoder``, ``attention_decoder``,
``convolutional``, ``transformer``
    Encoders and decoders.
``encoder_decoder``
    The model that joins an encoder and a decoder.
``classifiers``, ``nbsvm``
    Classifiers of texts: neural networks, and a linear one on n-gram counts.
"""
