"""The conditions of a protocol, from words to a tree: a small language with and, or, not, comparisons and `in`.

    parse("age_years >= min_age_years and clinical_n == \"N0\"", nouns=vocabulary(), limits={"min_age_years": 18.0})

Python's own parser reads the words, and only what is listed here gets through: nothing is ever evaluated as a program.
`not` is pushed down to the leaves (De Morgan holds in Kleene's logic), so a tree is made of All, Any and leaves.
"""

from __future__ import annotations

import ast
import math
import operator
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from onlm_lab.cohort.parsing import WANTED, ConditionError, Words, read_words
from onlm_lab.cohort.vocabulary import FUNCTIONS, Noun
from onlm_lab.schema import nearest

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NOTHING = ("none", "null", "nan", "na", "empty", "missing")
_EMPTY = "an empty cell is no value; write not known(column) if that is meant."
_OPERATORS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


@dataclass(frozen=True)
class Against:
    """A number or grade compared with a number, or with another column."""

    noun: Noun
    sign: str
    other: float | Noun


@dataclass(frozen=True)
class Among:
    """A column whose value is (or, negated, is not) one of the values named; `sign` is how the rule wrote it."""

    noun: Noun
    values: tuple[str | float, ...]
    negated: bool = False
    sign: str = "in"


@dataclass(frozen=True)
class Recorded:
    """Two-valued: whether a condition is known to hold."""

    condition: Node
    negated: bool = False


@dataclass(frozen=True)
class Known:
    """Two-valued: whether a column says something."""

    noun: Noun
    negated: bool = False


@dataclass(frozen=True)
class All:
    """Holds where every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Any:
    """Holds where one part holds."""

    parts: tuple[Node, ...]


Leaf = Against | Among | Recorded | Known
Node = Leaf | All | Any


def parse(passes: str, *, nouns: Mapping[str, Noun], limits: Mapping[str, float]) -> Node:
    """The tree of a condition.

    Args:
        passes: the condition in words.
        nouns: what it may speak of, by name.
        limits: the named numbers.

    Raises:
        ConditionError: the first thing that is not understood, with its place and the nearest name.
    """
    words = read_words(passes, names=nouns)
    reader = _Reader(words, dict(nouns), {unicodedata.normalize("NFKC", name): v for name, v in limits.items()})
    try:
        return reader.node(words.tree)
    except RecursionError:
        raise ConditionError("the condition is nested too deeply; split it into several rules.") from None


def nouns_of(node: Node) -> dict[str, Noun]:
    """What a condition speaks of, by name, in the order of its words."""
    if isinstance(node, All | Any):
        return {name: noun for part in node.parts for name, noun in nouns_of(part).items()}
    if isinstance(node, Recorded):
        return nouns_of(node.condition)
    found = {node.noun.name: node.noun}
    if isinstance(node, Against) and isinstance(node.other, Noun):
        found[node.other.name] = node.other
    return found


def negate(node: Node) -> Node:
    """The opposite of a condition."""
    if isinstance(node, All | Any):
        turned = Any if isinstance(node, All) else All
        return turned(tuple(negate(part) for part in node.parts))
    if isinstance(node, Against):
        return replace(node, sign=OPPOSITE[node.sign])
    if isinstance(node, Among) and node.sign in OPPOSITE:
        return replace(node, negated=not node.negated, sign=OPPOSITE[node.sign])
    return replace(node, negated=not node.negated)


@dataclass(frozen=True)
class _Reader:
    """Walks Python's tree and lets through what a condition may say."""

    words: Words
    nouns: dict[str, Noun]
    limits: dict[str, float]

    def fault(self, at: ast.AST, said: str) -> ConditionError:
        return self.words.fault(at, said)

    def node(self, tree: ast.AST) -> Node:
        """A condition."""
        if isinstance(tree, ast.BoolOp):
            parts = tuple(self.node(part) for part in tree.values)
            return All(parts) if isinstance(tree.op, ast.And) else Any(parts)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return negate(self.node(tree.operand))
        if isinstance(tree, ast.Compare):
            return self.comparison(tree)
        if isinstance(tree, ast.Call) and self.function(tree) != "column":
            (inner,) = tree.args
            return Recorded(self.node(inner)) if self.function(tree) == "recorded" else Known(self.noun(inner))
        if isinstance(tree, ast.Name | ast.Call):
            noun = self.term(tree)
            if isinstance(noun, Noun) and noun.kind == "boolean":
                return Against(noun, "==", 1.0)
            raise self.fault(tree, f"{ast.unparse(tree)} alone is no condition; compare it, as in {_example(noun)}.")
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitAnd | ast.BitOr):
            word = "and" if isinstance(tree.op, ast.BitAnd) else "or"
            raise self.fault(tree, f"write {word} instead of {'&' if word == 'and' else '|'}.")
        if isinstance(tree, ast.Tuple):
            raise self.fault(tree, "a comma joins no conditions; write and or or between them, a point in a number.")
        if isinstance(tree, ast.Constant):
            again = "write the column again, or a list as in ecog in [0, 1]"
            raise self.fault(tree, f"{ast.unparse(tree)} alone is not understood; {again}.")
        raise self.fault(tree, f"'{_short(tree)}' is not understood; wanted {WANTED}.")

    def comparison(self, tree: ast.Compare) -> Node:
        """One comparison, or a chain of them, which holds where each link holds."""
        sides = [tree.left, *tree.comparators]
        links = [self.link(sides[i], op, sides[i + 1]) for i, op in enumerate(tree.ops)]
        return links[0] if len(links) == 1 else All(tuple(links))

    def link(self, left: ast.AST, op: ast.cmpop, right: ast.AST) -> Node:
        if isinstance(op, ast.In | ast.NotIn):
            return self.membership(left, right, negated=isinstance(op, ast.NotIn))
        if type(op) not in _OPERATORS:
            raise self.fault(left, "'is' is not understood; write == to compare, known(column) for a filled cell.")
        if isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise self.fault(right, f"write {'in' if isinstance(op, ast.Eq) else 'not in'} before a list.")
        a, b, sign = self.term(left, beside=right), self.term(right, beside=left), _OPERATORS[type(op)]
        if not isinstance(a, Noun) and not isinstance(b, Noun):
            given = f"'{_short(left)}' and '{_short(right)}'"
            raise self.fault(left, f"{given} are both given; wanted a column on one side.")
        if not isinstance(a, Noun):
            a, b, right, sign = b, a, left, _MIRROR[sign]
        if isinstance(b, Noun):
            return self.two_columns(a, sign, b, right)
        return self.with_value(a, sign, b, right)

    def two_columns(self, a: Noun, sign: str, b: Noun, at: ast.AST) -> Node:
        numbers = all(noun.kind in ("number", "boolean") for noun in (a, b))
        if not numbers and not (a.scale and a.scale == b.scale):
            raise self.fault(at, f"{a.name} and {b.name} cannot be compared: wanted two numbers, or two of one scale.")
        return Against(a, sign, b)

    def with_value(self, noun: Noun, sign: str, value: str | float, at: ast.AST) -> Node:
        self.fits(noun, value, at)
        if noun.kind == "number" or (noun.kind == "boolean" and sign not in ("==", "!=")):
            return Against(noun, sign, value)
        if noun.kind == "boolean":  # 0 and 1 are all there is: "not 1" is "0"
            return Against(noun, "==", float(value if sign == "==" else 1 - value))
        if sign in ("==", "!="):
            return Among(noun, (value,), negated=sign == "!=", sign=sign)
        if not noun.scale:
            raise self.fault(at, f"{noun.name} has no order; wanted ==, != or in, not {sign}.")
        return Among(noun, _reached(noun, sign, value), sign=f"{sign} {value}")

    def membership(self, left: ast.AST, right: ast.AST, *, negated: bool) -> Node:
        noun = self.noun(left)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise self.fault(right, f"wanted a list after in, such as [{_short(right)}].")
        if not right.elts:
            raise self.fault(right, "the list after in is empty; wanted at least one value.")
        values = []
        for item in right.elts:
            value = self.term(item, beside=left)
            if isinstance(value, Noun):
                raise self.fault(item, f"{value.name} is a column; wanted values in the list after in.")
            self.fits(noun, value, item)
            values.append(value)
        return Among(noun, tuple(dict.fromkeys(values)), negated=negated)

    def fits(self, noun: Noun, value: str | float, at: ast.AST) -> None:
        """Raises where a value cannot stand in the column."""
        if noun.kind in ("number", "boolean"):
            if isinstance(value, str):
                wanted = "0 or 1" if noun.kind == "boolean" else "a number without quotes"
                raise self.fault(at, f"{noun.name} holds {_holds(noun)}, '{value}' is text; wanted {wanted}.")
            if noun.kind == "boolean" and value not in (0.0, 1.0):
                raise self.fault(at, f"{noun.name} is 0 or 1, never {value:g}.")
            return
        if isinstance(value, str) and not value.strip():
            raise self.fault(at, _EMPTY)
        if not isinstance(value, str):
            raise self.fault(at, f"{noun.name} holds {_holds(noun)}, {value:g} is a number; wanted a word in quotes.")
        if value in noun.unknown:
            raise self.fault(at, f"'{value}' counts as not known; write not known({noun.name}) if that is meant.")
        words = noun.scale.words if noun.scale else noun.allowed
        if words and value not in words:
            raise self.fault(at, f"'{value}' is not a word of {noun.name} ({', '.join(words)}){_mean(value, words)}.")

    def noun(self, tree: ast.AST) -> Noun:
        if isinstance(tree, ast.Compare | ast.BoolOp):
            raise self.fault(tree, f"'{_short(tree)}' is no column; known takes a column, recorded a condition.")
        found = self.term(tree)
        if not isinstance(found, Noun):
            bare = f"; write {found} without quotes" if found in self.nouns else ""
            raise self.fault(tree, f"'{found if isinstance(found, str) else _short(tree)}' is not a column{bare}.")
        return found

    def term(self, tree: ast.AST, *, beside: ast.AST | None = None) -> Noun | str | float:
        """A column, or a value: a number, a limit, a word."""
        if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
            return tree.value
        if isinstance(tree, ast.Constant) and isinstance(tree.value, bool | int | float):
            return self.number(tree, tree.value, sign=1)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub) and isinstance(tree.operand, ast.Constant):
            if isinstance(tree.operand.value, int | float):
                return self.number(tree, tree.operand.value, sign=-1)
        if isinstance(tree, ast.Name):
            return self.name(tree, beside=beside)
        if isinstance(tree, ast.Call) and self.function(tree) == "column":
            word = tree.args[0]
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                return self.column(tree, unicodedata.normalize("NFKC", word.value))
            raise self.fault(word, 'wanted the column\'s name in quotes, such as column("tumour size").')
        if isinstance(tree, ast.Call):
            raise self.fault(tree, f"{tree.func.id}(...) is a condition by itself; there is nothing to compare.")
        if isinstance(tree, ast.Constant) and tree.value is None:
            raise self.fault(tree, _EMPTY)
        why = (
            "no arithmetic in a rule: the result may be a column of its own"
            if isinstance(tree, ast.BinOp)
            else ('wanted a column, a limit, a number or "a word"')
        )
        raise self.fault(tree, f"'{_short(tree)}' is not understood; {why}.")

    def number(self, tree: ast.AST, value: float, *, sign: int) -> float:
        try:
            found = sign * float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise self.fault(tree, "the number is too large.")
        return found

    def name(self, tree: ast.Name, *, beside: ast.AST | None) -> Noun | float:
        word = tree.id
        if word in ("true", "false"):
            return float(word == "true")
        if word in self.limits and word not in self.nouns:
            return self.limits[word]
        if word not in self.nouns and isinstance(beside, ast.Name) and beside.id in self.nouns:
            noun = self.nouns[beside.id]
            if word in (noun.scale.words if noun.scale else noun.allowed):
                raise self.fault(tree, f'{word} is a word of {noun.name}; write it in quotes, "{word}".')
            if noun.kind == "boolean" and word.casefold() in ("yes", "no", "true", "false"):
                raise self.fault(
                    tree, f"{noun.name} is 0 or 1; write {word.casefold() in ('yes', 'true'):d} for {word}."
                )
        if word not in self.nouns and word.casefold() in _NOTHING:
            raise self.fault(tree, _EMPTY)
        return self.column(tree, word)

    def column(self, tree: ast.AST, word: str) -> Noun:
        if word in self.nouns:
            return self.nouns[word]
        meant = _mean(word, (*self.nouns, *self.limits) if isinstance(tree, ast.Name) else tuple(self.nouns))
        kind = "neither a column nor a limit" if isinstance(tree, ast.Name) else "not a column"
        raise self.fault(tree, f"'{word}' is {kind}{meant}.")

    def function(self, tree: ast.Call) -> str:
        """The name of a function that a condition may call, with the one thing that it takes."""
        name = tree.func.id if isinstance(tree.func, ast.Name) else _short(tree.func)
        if name not in FUNCTIONS:
            raise self.fault(
                tree, f"'{name}(...)' is not understood; wanted {', '.join(FUNCTIONS)}{_mean(name, FUNCTIONS)}."
            )
        if len(tree.args) != 1 or tree.keywords or isinstance(tree.args[0], ast.Starred):
            raise self.fault(tree, f"{name}(...) takes exactly one thing.")
        return name


def _reached(noun: Noun, sign: str, word: str) -> tuple[str, ...]:
    """The words of a scale on the wanted side of one; of a word that covers several, the last for <= and >."""
    first, last = noun.scale.ends(word)
    end = last if sign in ("<=", ">") else first
    return tuple(level for i, level in enumerate(noun.scale.levels) if _COMPARE[sign](i, end))


def _holds(noun: Noun) -> str:
    if noun.kind in ("number", "boolean"):
        return "a number" if noun.kind == "number" else "0 or 1"
    words = noun.scale.words if noun.scale else noun.allowed
    return f"one of {', '.join(words)}" if words else "words"


def _mean(word: str, known: tuple[str, ...]) -> str:
    near = next((name for name in known if name.startswith(f"{word.lower()}_")), "") or nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def _example(noun: Noun | str | float) -> str:
    if not isinstance(noun, Noun):
        return "age_years >= 18"
    if noun.kind == "number":
        return f"{noun.name} >= 1"
    words = noun.scale.levels if noun.scale else noun.allowed
    return f'{noun.name} == "{words[0] if words else "word"}"'


def _short(tree: ast.AST) -> str:
    text = ast.unparse(tree)
    return text if len(text) <= 40 else text[:37] + "..."
