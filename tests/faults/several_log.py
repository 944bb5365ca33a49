"""What the package says in its log while something runs."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Heard(logging.Handler):
    """Keeps the warnings, as text."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self._texts.append(record.getMessage())

    def texts(self) -> tuple[str, ...]:
        """The messages so far."""
        return tuple(self._texts)

    def traceback(self, error: BaseException) -> str:
        """An error as Python would print it."""
        return "".join(traceback.format_exception(error))


@contextmanager
def hear() -> Iterator[Heard]:
    """Listen meanwhile."""
    logger, heard = logging.getLogger("resumable"), Heard()
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)
