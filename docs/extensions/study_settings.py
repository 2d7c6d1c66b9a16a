"""Every key of study.toml as Markdown: kind and default from the dataclass, meaning from the comment beside it."""

from __future__ import annotations

import ast
import inspect
import io
import json
import textwrap
import tokenize
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any


def study_settings() -> str:
    """A section a stage, with a row a key."""
    from onlm_lab.study import Study

    parts: list[str] = []
    hints = typing.get_type_hints(Study)
    for stage in fields(Study):
        if stage.name == "folder":
            continue
        for cls in _dataclasses(hints[stage.name]):
            parts += _section(cls, where=stage.name)
    return "\n".join(parts)


def _dataclasses(hint: Any) -> list[type]:
    """The dataclass of a hint and those of its fields; dicts and tuples of one are looked into."""
    if is_dataclass(hint):
        inner = typing.get_type_hints(hint)
        return [hint, *(cls for f in fields(hint) for cls in _dataclasses(inner[f.name]))]
    return [cls for arg in typing.get_args(hint) for cls in _dataclasses(arg)]


def _section(cls: type, *, where: str) -> list[str]:
    first, _, rest = inspect.getdoc(cls).partition("]")
    title = f"{first}]" + ("]" if rest.startswith("]") else "")
    summary, _, more = rest.removeprefix("]").strip().partition("\n\n")
    parts = [f"## `{title}`", "", " ".join(summary.split()), ""]
    if more:
        parts += ["```text", textwrap.dedent(more), "```", ""]
    comments, hints = _comments(cls), typing.get_type_hints(cls)
    parts += ["| key | holds | default | |", "|---|---|---|---|"]
    for f in fields(cls):
        cells = (f"`{f.name}`", _kind(hints[f.name]), _default(f), comments.get(f.name, ""))
        parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return [*parts, ""]


def _comments(cls: type) -> dict[str, str]:
    """Field -> the comment at the end of its last line."""
    source = textwrap.dedent(inspect.getsource(cls))
    said = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    body = ast.parse(source).body[0].body
    return {
        node.target.id: said[node.end_lineno]
        for node in body
        if isinstance(node, ast.AnnAssign) and node.end_lineno in said
    }


def _kind(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{json.dumps(word, ensure_ascii=False)}`" for word in args)
    if origin is types.UnionType:
        return " or ".join(_kind(arg) for arg in args if arg is not type(None)) + ", or left out"
    if origin is tuple:
        return f"list of {_kind(args[0])}" if args[-1] is Ellipsis else f"[{', '.join(_kind(arg) for arg in args)}]"
    if origin is dict:
        return f"section: name = {_kind(args[1])}"
    if is_dataclass(hint):
        return f"section ({hint.__name__})"
    return {str: "text", float: "number", int: "whole number", bool: "true or false"}[hint]


def _default(f: Field) -> str:
    if f.default is MISSING and f.default_factory is MISSING:
        return "needed"
    value = f.default if f.default is not MISSING else f.default_factory()
    if value is None:
        return "none"
    if isinstance(value, (tuple, dict)) and not value:
        return "empty"
    return f"`{json.dumps(value, ensure_ascii=False)}`"
