"""Docstrings and signatures as Sphinx can take them: exceptions by their full names, `low, high:` as one entry."""

from __future__ import annotations

import ast
import inspect
import re

_OWN_ERRORS = re.compile(r"^:(raises|raise) (OnlmError|DataError|StudyError|SeriesError):")
_SEVERAL = re.compile(r"^:(param|ivar) ((?:\\?\*?\w+, )+\w+):")
_FACTORY = re.compile(r"<[^<>]*>")  # a default that is made anew each time has no text


def sphinx_lines(lines: list[str]) -> list[str]:
    """The lines that napoleon made, with exceptions that have a page and names that share one description."""
    lines = [_OWN_ERRORS.sub(r":raises onlm_lab.errors.\2:", line) for line in lines]
    return [_SEVERAL.sub(lambda found: f":{found[1]} {found[2].replace(', ', '/')}:", line) for line in lines]


def _docstring(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = sphinx_lines(lines)


def _signature(
    app: object, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    for default in _defaults(obj) if signature else ():
        signature = signature.replace(f"= {default}", "= ...")
    return (_FACTORY.sub("...", signature) if signature else signature), returns


def _defaults(obj: object) -> list[str]:
    """How the defaults show themselves that are no Python: a noun shows itself in words."""
    if not isinstance(obj, type):
        return []
    shown = (repr(one.default) for one in inspect.signature(obj).parameters.values() if one.default is not one.empty)
    return [text for text in shown if not _is_python(text)]


def _is_python(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def setup(app: object) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _docstring, priority=600)  # after napoleon
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
