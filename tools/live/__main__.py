"""Makes the models of the pages and their stored examples.

    python -m tools.live                      models and examples: some minutes of one core
    python -m tools.live models gpt-pieces    the files of one model, measured on validation text
    python -m tools.live examples             the stored examples of all boxes in the pages
    python -m tools.live box ngram            one box, to be put into a page or a Markdown cell
    python -m tools.live costs                what 8-bit weights cost: book/results/live.json
    python -m tools.live costs gpt-pieces     the same of one network

It needs the real corpus; networks come from the library's stored models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tools.live.catalogue import MODELS_FOLDER, NAMES, build, measure_facts
from tools.live.costs import write_costs
from tools.live.examples import TITLES, make_example, pages_with_boxes, refresh
from tools.live.model_files import LiveModel, read_index, write_index, write_model
from utils.console import make_output_safe


def write_models(names: Sequence[str]) -> None:
    """Write the files of some models and the index of all.

    Parameters
    ----------
    names
        Models of the site.
    """
    descriptions = read_index(MODELS_FOLDER)
    for name in names:
        live = build(name)
        facts = {**live.facts, **measure_facts(name)}
        measured = LiveModel(
            kind=live.kind,
            options=live.options,
            tensors=live.tensors,
            tokenizer=live.tokenizer,
            facts=facts,
        )
        descriptions[name] = write_model(name, measured, MODELS_FOLDER)
        write_index(descriptions, MODELS_FOLDER)
        print(f"{name}: {sum(descriptions[name]['parts']):,} bytes, {facts}")


def main(arguments: Sequence[str]) -> None:
    """Write what the arguments of the command line ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=("models", "examples", "box", "costs"), help="only these"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of models, or of a box")
    options = parser.parse_args(arguments)
    known = TITLES if options.what == "box" else NAMES
    if unknown := set(options.names) - set(known):
        parser.error(f"unknown name {min(unknown)!r}: expected one of {', '.join(known)}")
    if options.what == "box":
        for kind in options.names:
            print(make_example(kind))
        return
    if options.what == "costs":
        write_costs(options.names)
        return
    if options.what != "examples":
        write_models(options.names or NAMES)
    if options.what != "models":
        for path in pages_with_boxes():
            refresh(path)
            print(f"{path.name}: examples written")


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
