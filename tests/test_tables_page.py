"""docs/tables.md: every example on the page is read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import openpyxl
import pytest

from onlm_lab.cohort import load_cohort

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"
EXAMPLES = [part for part in PAGE.read_text(encoding="utf-8").split("\n## ") if part.startswith("Example")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_an_example_of_the_page_reads_as_it_says(tmp_path, example):
    files = re.findall(r"^`([\w.]+)`[^\n]*:\n\n```\w*\n(.*?)```", example, flags=re.MULTILINE | re.DOTALL)
    assert len(files) >= 2
    for name, text in files:
        if name.endswith(".xlsx"):
            book = openpyxl.Workbook()
            for line in text.splitlines():
                book.active.append(line.split("\t"))
            book.save(tmp_path / name)
        else:
            chinese = "GB18030" in example and name != "study.toml"
            (tmp_path / name).write_text(text, encoding="gb18030" if chinese else "utf-8")
    cohort = load_cohort(tmp_path)
    (notes,) = re.findall(r"```notes\n(.*?)```", example, flags=re.DOTALL)
    assert list(cohort.notes) == notes.splitlines()
    assert cohort.patients["sex"].tolist() == ["male", "female"]
    assert cohort.patients["patient_id"].tolist() in (["0007", "0012"], ["007", "NA"])


def test_the_page_has_its_three_examples():
    assert len(EXAMPLES) == 3
