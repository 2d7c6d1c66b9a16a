"""Two versions of a study's data side by side, as tables to read or to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from onlm_lab import cohort
from onlm_lab.showing import Said, shows_itself
from onlm_lab.study import Study, load_study


@shows_itself
@dataclass(frozen=True, eq=False)
class Versions:
    """What changed between two versions, ready to be read or written."""

    sentence: str
    tables: dict[str, pd.DataFrame]
    changes: pd.DataFrame
    made_up: bool = False

    def _said(self) -> Said:
        return Said(self.sentence, tables=self.tables | {"changes": self.changes}, made_up=self.made_up)

    def text(self) -> str:
        """Lines for a terminal: the sentence and the counts."""
        parts = (cohort.tables_text({}, made_up=self.made_up), self.sentence, cohort.tables_text(self.tables))
        return "\n\n".join(part for part in parts if part)

    def write(self, path: str | Path) -> Path:
        """Every change: .csv holds the list alone, .xlsx and .html the counts too."""
        if Path(path).suffix.lower() == ".csv":
            return cohort.write_tables(self.changes, path, title="Changes", made_up=self.made_up)
        tables = self.tables | {"Changes": self.changes}
        return cohort.write_tables(tables, path, title="What changed", made_up=self.made_up)


def compare_versions(old: Study | str | Path, new: Study | str | Path) -> Versions:
    """What changed between two versions of a study's data.

    Eligibility is compared where the new version is a study: both are screened by its protocol.

    Args:
        old, new: studies, their folders, or clinical files.

    Raises:
        DataError: every fault of the files of one of them.
    """
    before, after = cohort.load_cohort(old), cohort.load_cohort(new)
    is_study = isinstance(new, Study) or Path(new).is_dir() or Path(new).suffix == ".toml"
    protocol = (new if isinstance(new, Study) else load_study(new)).protocol if is_study else None
    found = cohort.compare_cohorts(before, after, protocol=protocol)
    by_kind = pd.DataFrame({"change": list(found.n_changes), "n": list(found.n_changes.values())})
    tables = {"Changes by kind": by_kind, "By column": found.by_column, "By centre": found.by_centre,
              "Labels": _counted(found.labels, ["reason_before", "reason_after"]),
              "Eligibility": _counted(found.status, ["before", "after", "rule_before", "rule_after"])}  # fmt: skip
    tables = {name: table for name, table in tables.items() if len(table)} if found.n_changes else {}
    sentence = " ".join([found.sentence, *found.notes])
    return Versions(sentence=sentence, tables=tables, changes=found.changes, made_up=before.made_up or after.made_up)


def _counted(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """How many patients made each move; the patients themselves are in the list of changes."""
    moved = table[columns].astype(object).where(table[columns].notna(), "labelled" if "reason_after" in columns else "")
    return moved.value_counts(sort=True).rename("n").reset_index()
