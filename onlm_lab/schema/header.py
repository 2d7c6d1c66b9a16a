"""The names in a table's first row: unknown, doubled, missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onlm_lab.errors import Fault
from onlm_lab.schema.dictionary import BY_NAME, Column, nearest
from onlm_lab.schema.shown import shown

_OR_SAY_IT = {"centre": ", or name the one hospital in study.toml under [mapping.constants]"}


def header_faults(
    header: Sequence[str], *, known: Mapping[str, Column], file: str, called: Mapping[str, str] | None = None
) -> tuple[list[Fault], frozenset[str]]:
    """Unknown, doubled and missing column names; and the known columns of which the header leaves open what they hold.

    `called`: our name -> the file's. A needed column that an unknown name is near to is not told as missing too.
    """
    faults, near_to = [], {}
    for name in header:
        if name in known:
            continue
        near = nearest(name, [k for k in known if k not in header])
        if near:
            near_to.setdefault(near, name)
        advice = f"did you mean '{near}'? Rename it" if near else "rename it"
        where = f", or declare it in study.toml under [columns.{name.strip() or 'NAME'}]" if "risk" not in known else ""
        if name in BY_NAME and BY_NAME[name].table in ("clinical", "followup") and "risk" not in known:
            advice, where = f"it belongs into the {BY_NAME[name].table} table", ". Move it"
        elif name in BY_NAME and BY_NAME[name].table == "derived" and "risk" not in known:
            advice, where = "it is derived here and never read", ". Take it out, or name it under [mapping] ignore"
        theirs = (called or {}).get(name, name)
        said = f"{file}: column '{shown(theirs)}' is not known; {advice}{where}."
        faults.append(Fault(said, file=file, column=theirs, wanted="a known column"))
    for name in sorted({n for n in header if list(header).count(n) > 1}):
        said = f"{file}: column '{name}' is there {list(header).count(name)} times; wanted once. Remove the others."
        faults.append(Fault(said, file=file, column=name))
    lacking = [name for name, wanted in known.items() if wanted.required and name not in header]
    for name in lacking:
        if name not in near_to:
            said = f"{file}: column '{name}' is missing ({known[name].description}). Add it{_OR_SAY_IT.get(name, '')}."
            faults.append(Fault(said, file=file, column=name, wanted="the column"))
    return faults, frozenset({*near_to, *lacking})
