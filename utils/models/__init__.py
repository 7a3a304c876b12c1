"""Models: everything in the book that predicts tokens or labels.

All are torch modules but ``nbsvm``, which is a scikit-learn classifier. The n-gram models count and
estimate with NumPy; as torch modules without parameters, they are called as any language model.
``utils.contract`` has the types of all.

``typed_module``
    The base of all modules, whose calls have types.
``checks``
    Checks of a model's inputs: ids, states, memories, and values in a compiled model.
``masks``
    Masks of tokens and of attention, and means over tokens.
``layers``
    Layers that many models share: scaled embedding, norms, and the output layer of all.
``positions``, ``attention``, ``multi_head``, ``kv_cache``, ``transformer_layer``,
``transformer_stack``
    Parts of a Transformer: positional encodings, attention as a function, multi-head
    attention and its key–value cache, the layer that joins them, and a stack of such layers.
``recurrent``, ``attention_scores``, ``gated_convolution``
    Parts of recurrent and convolutional models: torch's networks with the batch first and the first
    state of a decoder, scores of attention, and the gated convolution.
``language_models``, ``gpt``, ``ngram_embedding``
    Neural language models: feed-forward and recurrent, and the Transformer GPT, which may add
    vectors of n-grams.
``stored``, ``stored_translator``, ``stored_classifier``, ``stored_files``
    The language models, the translator and the classifiers that the book has trained and stored,
    with their tokenizers, and the files of the latter two.
``gpt_rewind``
    The state of a GPT before its last tokens, for speculative decoding.
``gpt_cost``
    Formulas for the parameters and operations of GPT.
``ngram_texts``, ``ngram_counts``, ``ngram_estimates``, ``ngram``
    Language models that count n-grams.
``recurrent_encoders``, ``recurrent_decoders``, ``attention_decoder``, ``convolutional``,
``transformer``, ``fixed_vector_encoder``
    Encoders and decoders, and an encoder of any kind reduced to its vector.
``encoder_decoder``
    The model that joins an encoder and a decoder.
``classifiers``, ``nbsvm``
    Classifiers of texts: neural networks, and a linear one on n-gram counts.
"""
