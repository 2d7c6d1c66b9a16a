"""Why something is not part of a shared page, in words without a number."""

from __future__ import annotations

from onlm_lab.errors import OnlmError


class NotShown(OnlmError):
    """A panel, or a part of it, that a shared page leaves out. Its sentence holds no number of the data."""
