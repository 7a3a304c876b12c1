"""``python -m utils.training MODEL …``: train a model of the book from the command line."""

from utils.command.run import main

if __name__ == "__main__":
    raise SystemExit(main())
