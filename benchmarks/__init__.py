"""Benchmarks of the book: longer runs than a notebook's, with several seeds.

Run them in the repository's root with ``python -m benchmarks.NAME``. Each writes its figures, with
where they came from, to book/results/NAME.json, which pages and notebooks read. NAME is one of
characters, ladder, loop, reviews, scaling, speech, translation and translation_speed; `record`
writes the files.
"""
