"""Models that run in the pages of the site: their files, and the examples that stand in the pages.

``python -m tools.live`` writes all of it; the scripts that read it are in ``book/_static/live``.

- ``quantization``: weights as 8-bit integers with a scale for each row, and what that costs.
- ``model_files``: the files of a model, as the page loads them.
- ``architectures``: the library's models and tokenizers in the form of those files.
- ``catalogue``: the models of the site, by name.
- ``text_generation``: writes texts with a seed, as a box of the page does.
- ``translation``: translations with their attention and with beam search, as examples.
- ``beam_tree``: the tree of beam search as a drawing.
- ``heads``: what a GPT loses without each of its heads, and where these look, as an example.
- ``attention_table``: weights of attention as a table.
- ``sentiment``: a sentence about a film with the share of each word, as an example.
- ``examples``: the stored example of each box, as HTML; ``texts``: the words in them.
- ``costs``: what 8-bit weights cost, as claims; ``measures``: the losses and scores for it.
- ``boxes``: puts the boxes' scripts and styles on the pages that have boxes, and has the tables of
  the models and of the costs (a Sphinx extension).
"""
