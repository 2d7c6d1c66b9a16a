"""One column of ours from several checkboxes of the hospital."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from onlm_lab.errors import Fault
from onlm_lab.schema.dictionary import SITES, Column, meant
from onlm_lab.schema.names import Cells, Mapped, resolve
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.shown import counted, few, quoted, shown
from onlm_lab.schema.texts import Texts, texts

if TYPE_CHECKING:
    import numpy as np

    from onlm_lab.study import Mapping as Settings

_BOXES = {"1": True, "checked": True, "0": False, "unchecked": False, "": False}


def checked_boxes(
    sheet: Sheet, done: Mapped, *, names: Mapping[str, str], known: Mapping[str, Column], mapping: Settings
) -> set[str]:
    """One column from several checkboxes."""
    import numpy as np

    used: set[str] = set()
    for target, boxes in mapping.checkboxes.items():
        if target not in known:
            continue
        found = {box: n for box in boxes if (n := resolve(box, sheet, mapping=mapping, names=names))}
        if not found:
            continue
        for box in boxes:
            if box not in found:
                hint = meant(box, sheet.columns)
                done.faults.append(
                    Fault(
                        f"study.toml: [mapping.checkboxes.{target}] names '{box}', which {sheet.file} does not have"
                        f"{hint}",
                        file="study.toml",
                        column=box,
                    )
                )
        words = np.full(len(sheet), "", dtype=object)
        number, told = np.zeros(len(sheet), dtype=int), np.zeros(len(sheet), dtype=bool)
        order = {w: i for i, w in enumerate((*SITES, "unknown"))}
        for box, name in sorted(found.items(), key=lambda pair: order.get(boxes[pair[0]], 9)):
            column = sheet.columns[name]
            used.add(name)
            wrong = column.where(lambda w: w.lower() not in _BOXES)
            if wrong.any():
                done.faults.append(
                    _rows_fault(sheet, names.get(name, name), wrong, "must be 0 or 1, or Checked or Unchecked",
                                column=column)
                )  # fmt: skip
                told |= wrong
            checked = column.where(lambda w: _BOXES.get(w.lower(), False))
            words[checked] = [f"{w};{boxes[box]}" if w else boxes[box] for w in words[checked]]
            number += checked
        label = f"{target} (from {len(found)} checkboxes)"
        several = (number > 1) & (known[target].type != "text")
        if several.any():
            said = f"holds one word, but several of its checkboxes are checked in {int(several.sum())} rows"
            done.faults.append(_rows_fault(sheet, label, several, said, column=texts(words)))
            told |= several
        words[several] = ""
        done.notes.append(
            f"{sheet.file}: {target} read from {len(found)} checkboxes; none is checked in "
            f"{counted(int((number == 0).sum()), 'row')}, left empty."
        )
        made = texts(words)
        done.cells[target] = Cells(label, made, made, told=told)
    return used


def _rows_fault(sheet: Sheet, column_name: str, hit: np.ndarray, said: str, *, column: Texts) -> Fault:
    rows = hit.nonzero()[0]
    numbers = [int(sheet.rows[r]) for r in rows]
    values = tuple(shown(column.at(r)) for r in rows)
    words = few([quoted(w) for w in dict.fromkeys(column.at(r) for r in rows)])
    return Fault(
        f"{sheet.file}: {column_name} {said}: {words} (row {few(numbers)}). Correct "
        f"{'it' if len(rows) == 1 else 'them'}.",
        file=sheet.file, column=column_name, rows=tuple(numbers), values=values, wanted=said,
    )  # fmt: skip
