"""study.toml as a Study: unknown keys and values of the wrong kind are told all at once, the nearest key offered."""

from __future__ import annotations

import tomllib
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from onlm_lab.errors import StudyError
from onlm_lab.study.changing import Changes, with_changes
from onlm_lab.study.limits import nearest
from onlm_lab.study.stages import Study


def load_study(path: str | Path, *, changes: Changes | None = None) -> Study:
    """The study in a folder, or in a study.toml.

    Args:
        path: the folder, or its study.toml.
        changes: settings of one run, by section, in the place of the file's own; see changing.

    Raises:
        StudyError: no such file, not TOML, an unknown key (nearest offered), a value of the wrong kind; all at once.
    """
    path = Path(path)
    file = path / "study.toml" if path.is_dir() else path
    if not file.is_file():
        raise StudyError(
            f"No study.toml in '{path.name or path}'. A study is a folder with a study.toml; "
            "start one with `onlm init DIR`, make one up with `onlm virtual DIR`, or name the right folder."
        )
    if file.suffix != ".toml":
        raise StudyError(f"'{file.name}' is a file; wanted a study: a folder with a study.toml.")
    content = file.read_bytes()
    try:
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StudyError(f"study.toml: line {line} is not UTF-8 text. Save the file as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study.toml is not valid TOML: {error}. Correct that line.") from None
    faults: list[str] = []
    if "folder" in raw:  # where the file lies, and nothing that it could say
        faults.append("study.toml: [folder] is not known.")
    raw = with_changes(raw, changes or {})
    study = _build(Study, {**raw, "folder": file.parent}, where="", faults=faults)
    if faults:
        raise StudyError("\n".join(fault.replace("?.", "?") for fault in faults))
    return study


def starter_toml(
    *, name: str, made_up: bool = False, seed: int = 2026, sections: dict[str, dict[str, Any]] | None = None
) -> str:
    """The text of a study.toml with the given name and, by section, what differs from the defaults.

    `sections` such as {"data": {"ct": ""}, "columns": {"lvi": {"type": "boolean", "timing": "post_treatment"}}}.
    """
    import tomli_w

    said = {"study": {"name": name, "made_up": made_up, "seed": seed}}
    for section, values in (sections or {}).items():
        said[section] = said.get(section, {}) | values
    faults: list[str] = []
    _build(Study, {"folder": Path(), **said}, where="", faults=faults)
    if faults:
        raise StudyError("\n".join(fault.replace("?.", "?") for fault in faults))
    return "# What is not said here takes its default; `onlm study DIR` prints everything.\n" + tomli_w.dumps(said)


def _build(cls: type, raw: dict[str, Any], *, where: str, faults: list[str]) -> Any:
    """An instance of a dataclass from plain TOML values; every fault is added to `faults`."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    before = len(faults)
    for key, value in raw.items():
        if key not in known:
            label = f"[{where}] {key}" if where else f"[{key}]"
            shown = [k for k in known if k != "folder"]
            faults.append(f"study.toml: {label} is not known{nearest(key, shown)}.")
            continue
        values[key] = _value(value, hints[key], where=f"{where}.{key}" if where else key, faults=faults)
    missing = [f.name for f in fields(cls) if f.name not in raw and _required(f)]
    if missing:
        faults.append(f"study.toml: [{where}] needs {', '.join(missing)}.")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except StudyError as error:
        faults.append(f"study.toml: {error}")
        return None


def _required(f: Any) -> bool:
    from dataclasses import MISSING

    return f.default is MISSING and f.default_factory is MISSING


def _value(value: Any, hint: Any, *, where: str, faults: list[str]) -> Any:
    """One TOML value as the hinted type, or a fault."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        if isinstance(value, dict):
            return _build(hint, value, where=where, faults=faults)
        faults.append(f"study.toml: {where} must be a section [{where}], got {value!r}.")
    elif origin is dict:
        if isinstance(value, dict):
            return {k: _value(v, args[1], where=f"{where}.{k}", faults=faults) for k, v in value.items()}
        faults.append(f"study.toml: {where} must be a section [{where}], got {value!r}.")
    elif origin is tuple:
        fixed = len(args) if args[-1] is not Ellipsis else None
        if isinstance(value, list | tuple) and fixed in (None, len(value)):
            return tuple(
                _value(v, args[0], where=_nth(where, i, v) if is_dataclass(args[0]) else where, faults=faults)
                for i, v in enumerate(value, start=1)
            )
        wanted = "a list" if fixed is None else f"a list of {fixed}"
        if is_dataclass(args[0]):
            wanted = f"a list of sections, each under [[{where}]] in two brackets"
        faults.append(f"study.toml: {where} must be {wanted}, got {value!r}.")
    elif origin is Literal:
        if value in args:
            return value
        near = nearest(str(value), [str(a) for a in args])
        near = near if "did you mean" in near else ""
        faults.append(f"study.toml: {where} is {value!r}; wanted one of {', '.join(map(str, args))}{near}.")
    elif origin is types.UnionType:
        inner = next(a for a in args if a is not type(None))
        return _value(value, inner, where=where, faults=faults)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    elif hint in (str, bool, Path) and isinstance(value, hint):
        return value
    elif hint is str and where.startswith("mapping.") and isinstance(value, int | float):
        return str(int(value)) if isinstance(value, bool) or float(value).is_integer() else str(value)
    else:
        words = {float: "a number", int: "a whole number", str: "text in quotes", bool: "true or false"}
        faults.append(f"study.toml: {where} must be {words.get(hint, hint)}, got {value!r}.")
    return None


def _nth(where: str, number: int, value: Any) -> str:
    """Which of several sections: by its name, else by its number."""
    name = value.get("name") if isinstance(value, dict) else None
    return f"{where}.{name if isinstance(name, str) and name.strip() else number}"
