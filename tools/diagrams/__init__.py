"""Diagrams of architectures, and the small vocabulary that they are drawn with.

``python -m tools.diagrams`` writes every diagram to ``book/_static/diagrams/NAME.svg`` and their
style sheet to ``book/_static/diagrams.css``, and prints what is wrong with them. A page shows a
diagram as any image; ``tools.book_diagrams`` puts it into the page in the colours of its theme.

A new diagram is a function that returns a `Diagram` and stands in ``gallery.DRAWN``::

    d = Diagram(
        "rnn",
        "A recurrent network",
        "Time runs from left to right …",
        variants={"state": ("state",)},
    )
    word = d.token(80, 300, "dog")  # placed by their centres
    vector = d.box(80, 240, 50, "$x_t$", "embedding")  # a label with a formula; a meaning
    d.arrow(word.top, vector.bottom, label="(B, E)")  # a shape beside the arrow
    with d.part("state"):  # emphasized in rnn-state.svg
        state = d.box(80, 170, 50, "$h_t$", "state")
        d.arrow(vector.top, state.bottom)

- ``vocabulary``, ``sketch``: the words, ``token box operation vector grid bars frame`` and ``text
  note dot arrow``.
- ``palette``: what the colours mean, and their light and dark versions.
- ``canvas``, ``shapes``, ``labels``, ``boxes``: what the vocabulary is made of.
- ``checks``: labels that touch something, lines through boxes, text too small for a phone.
- ``gallery``: the list of all diagrams.
- ``kept``, ``concepts``, ``language_models``, ``recurrent``, ``convolution``,
  ``encoder_decoder``, ``copying``, ``number_translation``, ``attention``, ``self_attention``,
  ``masks``, ``transformer``, ``gpt``, ``ctc``, ``training``, ``parallel``,
  ``pipeline``, ``scaling``, ``segmentation``, ``autograd``, ``libraries``, ``practice``,
  ``stacked``, ``cost``, ``classification``, ``generation``, ``interpretability``, ``rewards``,
  ``robustness``, ``speech``: the diagrams themselves.
"""
