"""The words of a condition as Python's own parser reads them, and what is said where it stumbles."""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 4000  # characters of one condition
WANTED = 'comparisons such as age_years >= 18 or consent in ["yes", "waived"], joined by and, or, not'
_QUOTED_OR_REMARK = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*")
# What people write by habit from elsewhere, and what is meant.
_HABITS = (
    (r"&&", "write and for &&"), (r"\|\|", "write or for ||"), (r"<>", "write != for <>"), (r"≥|≧", "write >= for ≥"),
    (r"≤|≦", "write <= for ≤"), (r"≠", "write != for ≠"), (r"=>", "write >= for =>"), (r"=<", "write <= for =<"),
    (r"> =", "write >= without a blank"), (r"[<!=] =", "write <=, != or == without a blank"),
    (r"[“”„]", 'write " for “'), (r"\bAND\b", "write and for AND"), (r"\bOR\b", "write or for OR"),
    (r"\bNOT\b", "write not for NOT"), (r"\bIN\b", "write in for IN"), (r"!(?!=)", "write not for !"),
    (r"(?i)\bbetween\b", "write 18 <= age_years <= 80 for between"),
    (r"\d\s?(%|[mc]m\b|years?\b|days?\b)", "write numbers without a unit, in the unit of the column"),
    (r"(?<![<>=!])=(?![=<>])(?<!> =)(?<!< =)(?<!! =)(?<!= =)", "write == to compare"),
)  # fmt: skip


class ConditionError(ValueError):
    """What is wrong with a condition, and where in it."""


@dataclass(frozen=True)
class Words:
    """A condition as written, and Python's tree of it."""

    text: str
    tree: ast.expr
    indent: int  # blanks before the first word, which the tree does not count

    def fault(self, node: ast.AST, said: str) -> ConditionError:
        """A fault with the place of a part of the tree."""
        before = len(self.text[self.indent :].encode()[: node.col_offset].decode(errors="ignore"))
        return ConditionError(f"at {_place(self.text, self.indent + before)}: {said.replace('?.', '?')}")


def read_words(passes: str, *, names: Iterable[str]) -> Words:
    """A condition as Python's parser reads it, on one line and without remarks.

    Args:
        passes: the condition.
        names: the columns, for those that are no plain words.

    Raises:
        ConditionError: there is nothing, too much, or something that is no condition.
    """
    flat = outside_quotes(passes, remark=" ").replace("\n", " ").replace("\t", " ").replace("\r", " ")
    if not flat.strip():
        raise ConditionError(f"there is no condition; wanted {WANTED}.")
    if len(passes) > LONGEST:
        raise ConditionError(f"the condition has {len(passes):,} characters; wanted at most {LONGEST:,}. Split it.")
    indent = len(flat) - len(flat.lstrip())
    try:
        return Words(passes, ast.parse(flat.strip(), mode="eval").body, indent)
    except SyntaxError as error:
        at = indent + (error.offset or len(flat.strip())) - 1
        tips = _tips(passes, names=names) or [f"wanted {WANTED}"]
        raise ConditionError(f"not understood at {_place(passes, at)}; {'; '.join(tips)}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise ConditionError(f"the condition cannot be read; wanted {WANTED}.") from None


def outside_quotes(passes: str, *, quoted: str | None = None, remark: str = "") -> str:
    """The condition with `remark` for each letter of its remarks and, where given, `quoted` for each within quotes."""

    def other(found: re.Match[str]) -> str:
        if found[0].startswith("#"):
            return remark * len(found[0])
        return found[0] if quoted is None else quoted * len(found[0])

    return _QUOTED_OR_REMARK.sub(other, passes)


def _tips(passes: str, *, names: Iterable[str]) -> list[str]:
    bare = outside_quotes(passes, quoted=" ", remark=" ")
    tips = [tip for habit, tip in _HABITS if re.search(habit, bare)]
    wide = sorted({c for c in bare if "！" <= c <= "～"})
    tips += [f"write {unicodedata.normalize('NFKC', c)} for {c}" for c in wide]
    odd = [name for name in names if not name.isidentifier() or keyword.iskeyword(name)]
    tips += [f'write column("{name}")' for name in odd if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", bare)]
    return tips


def _place(text: str, at: int) -> str:
    """Where something stands, as an editor counts."""
    at = min(at, max(len(text.rstrip()) - 1, 0))
    line, character = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"character {character}" if "\n" not in text.strip("\n") else f"line {line}, character {character}"
