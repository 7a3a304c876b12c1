"""Four captions, and translations that differ from them, for the tests of scores of text."""

REFERENCES = [
    "A man in an orange hat is looking at something.",
    "Two dogs play in the snow .",
    "A woman reads a book.",
    "Children run over the grass in the park.",
]
HYPOTHESES = [
    "A man in an orange hat looks at something.",
    "Two dogs are playing in the snow.",
    "A woman reads the book.",
    "Children run on the green grass in a park.",
]
