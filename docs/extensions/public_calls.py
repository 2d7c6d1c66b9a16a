"""A module's public calls as autodoc directives, in the order that they are asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Sequence


def calls(module: str, *, names: Sequence[str] = (), without: Collection[str] = ()) -> str:
    """Markdown that lets autodoc write the named calls, or all of the module's __all__ but those in `without`.

    Raises:
        AttributeError: the module has no such name.
    """
    home = importlib.import_module(module)
    wanted = names or [name for name in public_names(module) if name not in without]
    lines = ["```{eval-rst}"]
    for name in wanted:
        lines += _directive(f"{module}.{name}", getattr(home, name))
    return "\n".join([*lines, "```"])


def public_names(module: str) -> list[str]:
    """What a module offers: its __all__, or the functions and classes that it defines without an underscore."""
    home = importlib.import_module(module)
    if hasattr(home, "__all__"):
        return list(home.__all__)
    own = [name for name, value in vars(home).items() if getattr(value, "__module__", "") == module]
    return [name for name in own if not name.startswith("_") and callable(getattr(home, name))]


def _directive(name: str, value: object) -> list[str]:
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return [f".. {kind}:: {name}", "   :members:", "   :exclude-members: to_dict", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}", ""]
    kind = {tuple: "names, in their order", dict: "a table by name"}.get(type(value), type(value).__name__)
    return [f".. py:data:: {name}", "", f"   {kind[0].upper()}{kind[1:]}.", ""]
