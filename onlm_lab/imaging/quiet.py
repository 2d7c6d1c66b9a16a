"""Reading with pydicom without its remarks: they quote values of headers, and a name among them would be in a log."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("pydicom")


@contextmanager
def reading_quietly() -> Iterator[None]:
    """No warning and no line of a log from pydicom; what matters of a malformed value is told by this package."""
    before = _LOG.disabled
    _LOG.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _LOG.disabled = before
