"""Every number of a text is either claimed by a sentence that says what it must be, or left over."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
TOKEN = re.compile(rf"(?<![A-Za-z\d.]){NUMBER}")  # not the 0 of N0
ENDS = {"p", "div", "h2", "h3", "h4", "tr", "li", "summary"}


class _Words(HTMLParser):
    """What a reader sees, a line a block; the cells of a row stand between bars; pictures are read by their label."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("style", "script")
        label = dict(attrs).get("aria-label")
        if tag == "svg" and label:
            self.parts.append(f"\n{label}\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")
        self.parts.append("\n" if tag in ENDS else " | " if tag in ("td", "th") else " " if tag == "b" else "")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def words(markup: str) -> str:
    """The text of some HTML, with plain spaces and plain minus signs."""
    reader = _Words()
    reader.feed(markup)
    said = "".join(reader.parts).replace("\u00a0", " ").replace("\u2003", "").replace("\u2212", "-")
    lines = (re.sub(r"\s+", " ", line).strip() for line in said.splitlines())
    return "\n".join(line for line in lines if line)


def section(page: str, id: str) -> str:
    """The HTML of one section, to where the next one begins."""
    start = page.index(f'<section id="{id}"')
    ends = [at for at in (page.find('<section id="', start + 1), page.find("</main>", start)) if at > 0]
    return page[start : min(ends)]


@dataclass(frozen=True)
class Claim:
    """A sentence with {} in the place of each number, and what the numbers must be.

    `within`: how much more than rounding may lie between, where libraries have different conventions. A value that is
    None is not checked (R is not here).
    """

    sentence: str
    values: tuple[float | None, ...]
    within: float = 0.0

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(rf"({NUMBER})".join(re.escape(part) for part in self.sentence.split("{}")))


@dataclass
class Ledger:
    """A text and which of its numbers have been claimed."""

    text: str
    claimed: set[int] = field(default_factory=set)
    unproved: set[int] = field(default_factory=set)

    def settle(self, claim: Claim) -> None:
        """Hold every place of the text that reads like the claim against it.

        Raises:
            AssertionError: no place reads so, or a number is another.
        """
        found = list(claim.pattern.finditer(self.text))
        assert found, f"the text does not say: {claim.sentence}"
        for match in found:
            assert len(match.groups()) == len(claim.values), claim.sentence
            for i, value in enumerate(claim.values, start=1):
                if value is None:
                    self.unproved.add(match.start(i))
                else:
                    assert agrees(match[i], value, within=claim.within), (
                        f"{match[0]!r}: the text has {match[i]}, elsewhere it is {value!r}"
                    )
                self.claimed.add(match.start(i))

    def left_over(self) -> list[str]:
        """The numbers that nothing claimed, with the words around them."""
        return [
            f"{m[0]} in '{self.text[max(0, m.start() - 40) : m.end() + 25]}'"
            for m in TOKEN.finditer(self.text) if m.start() not in self.claimed
        ]  # fmt: skip


def agrees(shown: str, value: float, *, within: float = 0.0) -> bool:
    """Whether a number as it is shown is the value, rounded to as many places."""
    places = len(shown.partition(".")[2])
    return not math.isnan(value) and abs(float(shown.replace(",", "")) - value) <= 0.5 * 10**-places + within + 1e-9


def bumped(text: str, match: re.Match[str]) -> str:
    """The text with the last digit of one number changed."""
    last = match.end() - 1
    return text[:last] + str((int(text[last]) + 1) % 10) + text[last + 1 :]
