"""Waiting for what another process is about to do: a machine under load is slow, not wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(ask: Callable[[], T], *, seconds: float = 60.0, every_s: float = 0.05, what: str = "") -> T:
    """What `ask` says as soon as it says something true.

    Args:
        ask: asked again and again; an AssertionError of its own counts as "not yet".
        seconds: how long it may take.
        every_s: the pause between two questions.
        what: said where it never came true.

    Raises:
        AssertionError: it did not come true in time; the last assertion of `ask` says why.
    """
    end = time.monotonic() + seconds
    while True:
        late, said = time.monotonic() > end, None  # asked once more after the end: whoever was held up is not late
        try:
            if answer := ask():
                return answer
        except AssertionError as error:
            said = error
        if late:
            raise AssertionError(f"{what or 'what was waited for'}: not after {seconds:g} seconds") from said
        time.sleep(every_s)


def at_rest(page, look: Callable[[], T], *, seconds: float = 120.0, still_ms: int = 700) -> T:
    """What is seen on a page of a browser as soon as it is twice the same: nothing is on its way any more."""
    before = look()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.wait_for_timeout(still_ms)
        now = look()
        if now == before:
            return now
        before = now
    raise AssertionError(f"the page did not come to rest in {seconds:g} seconds")


def slider_arrived(page, *, timeout_ms: float = 90_000) -> None:
    """Waits until the page's address has the threshold that the slider shows: not the first of its moves, the last."""
    page.wait_for_function(
        "() => Math.abs(100 * new URLSearchParams(location.hash.slice(1)).get('threshold')"
        " - document.querySelector(\".onlm-threshold [role='slider']\").ariaValueNow) < 0.01",
        timeout=timeout_ms,
    )


def said(page, text: str):
    """What stands on the page itself, not in the line that repeats it for a screen reader a moment later."""
    return page.get_by_text(text).and_(page.locator(":not(.onlm-told)"))
