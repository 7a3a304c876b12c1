"""Errors while the files of a corpus are found, downloaded and checked."""


class DataError(RuntimeError):
    """A file of a corpus is unavailable or not the expected one; the message gives the remedy."""


class NoNetwork(DataError):
    """No server answered; a stand-in may replace the corpus."""

    remedy = "connect to the network, or set LLM_BOOK_DATA to a folder that has it"


class OfflineRequested(NoNetwork):
    """The environment variable LLM_BOOK_OFFLINE asks for the stand-in."""

    remedy = "unset LLM_BOOK_OFFLINE"
