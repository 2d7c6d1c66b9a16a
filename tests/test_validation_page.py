"""docs/validation.md says what a comparison finds today, covers every file and call, and an error would be seen."""

from __future__ import annotations

import math
import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from benchmarks import validated_discrimination, validated_hazards, validation
from benchmarks.validation_data import FOLDER, binary, hazards
from benchmarks.validation_page import FAR
from benchmarks.validation_parts import SMALLEST, Check, columns, compared, differences, measure
from onlm_lab import analysis

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "validation.md"
CHECKS = validation.checks()
NAMES = [f"{i} {check.quantity}" for i, check in enumerate(CHECKS)]
LIVE = re.compile(r"\b(statsmodels|lifelines|scikit-survival|scikit-learn|scipy|pandas) [\d.]+\d")


@pytest.fixture(scope="module")
def sides() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ours and theirs of every comparison."""
    return [columns(check) for check in CHECKS]


@pytest.fixture(scope="module")
def found(sides):
    return [compared(check, *both) for check, both in zip(CHECKS, sides, strict=True)]


@pytest.fixture(scope="module")
def by_topic(found):
    rest = iter(found)
    return {topic: [next(rest) for _ in part] for topic, part in validation.TOPICS.items()}


def lines(text: str) -> list[list[str]]:
    """The cells of every line of the tables of comparisons."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if len(row) == 9 and row[0] != "Quantity"]


def without_sizes(text: str) -> str:
    """The page without what another machine finds otherwise: the sizes of differences, and versions of Python's."""
    text = re.sub(r"\| (0|\d\.\de[+-]\d\d) \| (0|\d\.\de[+-]\d\d) \|", "| # | # |", text)
    text = re.sub(r"\d+ of the comparisons differ by less than 1e-10,\s+\d+ by", "# and # by", text)
    return LIVE.sub(r"\1", text)


def test_every_number_lies_within_what_the_page_claims(found):
    outside = [(one.check.quantity, one.check.peer, one.absolute, one.relative) for one in found if not one.agrees]
    assert not outside


def test_the_page_is_the_one_that_is_made_today_but_for_the_last_digits_of_a_machine(by_topic):
    made = validation.written(by_topic)
    assert without_sizes(PAGE.read_text(encoding="utf-8")) == without_sizes(made), "make validation"


def test_the_page_counts_what_is_compared_and_its_differences_keep_its_own_claims(found):
    text = PAGE.read_text(encoding="utf-8")
    rows = lines(text)
    assert [int(row[4].replace(",", "")) for row in rows] == [one.n for one in found]
    assert f"**{sum(one.n for one in found):,} values in {len(CHECKS)} comparisons; all lie within" in text
    for row in rows:
        absolute, relative, claimed = float(row[5]), float(row[6]), float(row[7].removesuffix(" abs."))
        assert (absolute if row[7].endswith("abs.") else relative) <= claimed * 1.05, row  # printed with two digits


def test_a_difference_that_is_not_tiny_has_its_reason_beside_it(found):
    for one in found:
        if one.relative > FAR or one.check.within > FAR:
            assert re.search("by chance|on purpose|printed", one.check.remark), one.check.quantity


@pytest.mark.parametrize("place", range(len(CHECKS)), ids=NAMES)
def test_an_error_a_little_above_the_claim_is_seen_in_every_comparison(sides, place):
    check, (ours, theirs) = CHECKS[place], sides[place]
    for at in {0, len(theirs) // 2, len(theirs) - 1}:
        wrong = theirs.copy()
        size = 1.0 if check.absolute else max(abs(theirs[at]), SMALLEST)
        wrong[at] = 0.5 if not math.isfinite(theirs[at]) else theirs[at] + 3 * check.within * size
        assert compared(check, ours, theirs).agrees and not compared(check, ours, wrong).agrees


def test_a_number_changed_in_its_last_digits_is_seen_on_the_page_and_by_the_command(monkeypatch, tmp_path, capsys):
    check = validated_discrimination.CHECKS[0]
    monkeypatch.setattr(validation, "TOPICS", {"Discrimination": (check,)})
    assert validation.main([str(tmp_path / "page.md")]) == 0
    assert "OUTSIDE" not in (tmp_path / "page.md").read_text(encoding="utf-8")
    area = binary.R["asah"]["area"]["p1"]
    monkeypatch.setitem(area, "auc", area["auc"] + 1e-9)
    assert validation.main([str(tmp_path / "page.md")]) == 1
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "1 lie outside what is claimed" in text and "**OUTSIDE 1e-10**" in text
    assert "OUTSIDE: AUC; its DeLong" in capsys.readouterr().out


def test_a_count_a_likelihood_and_a_curve_changed_a_little_are_seen(monkeypatch):
    whole, cox = hazards.R["whole_lung"], validated_hazards.CHECKS
    check = next(c for c in cox if c.quantity.startswith("Tests of the whole model"))
    assert measure(check).agrees
    monkeypatch.setitem(whole, "aic", whole["aic"] * (1 + 1e-9))
    assert not measure(check).agrees
    curve = next(c for c in cox if c.quantity.startswith("Log hazard ratio over time"))
    assert measure(curve).agrees
    rows = [list(row) for row in hazards.R["schoenfeld_lung"]["smooth"]]
    rows[70][1] += 1e-8
    monkeypatch.setitem(hazards.R["schoenfeld_lung"], "smooth", rows)
    assert not measure(curve).agrees


def test_a_number_that_only_one_side_gives_is_a_difference_and_one_that_neither_gives_is_none():
    nan, inf = math.nan, math.inf
    ours, theirs = np.array([nan, nan, 1.0, inf, inf, -inf]), np.array([nan, 1.0, nan, inf, 1.0, inf])
    absolute, relative = differences(ours, theirs)
    assert absolute.tolist() == relative.tolist() == [0, inf, inf, 0, inf, inf]


def test_the_relative_difference_is_to_the_other_value_and_to_a_thousandth_where_that_is_smaller():
    absolute, relative = differences(np.array([200.2, 2e-15, -1.0]), np.array([200.0, 0.0, -1.5]))
    assert absolute == pytest.approx([0.2, 2e-15, 0.5]) and relative == pytest.approx([0.001, 2e-12, 1 / 3])


def test_columns_of_different_length_and_no_value_at_all_are_no_agreement():
    def check(*pairs):
        return Check("a", "roc", "b", "c", "", lambda: iter(pairs), 1e-10)

    with pytest.raises(ValueError, match=r"\(2,\) values of ours beside \(1,\) of theirs"):
        columns(check(([1, 2], [1])))
    assert not measure(check(([], []))).agrees and measure(check((1, 1))).agrees


def test_every_file_of_the_reference_folder_is_compared_or_excused():
    names = sorted(path.name for path in FOLDER.iterdir())
    assert validation.uncovered(names) == [] and validation.uncovered(["new.json"]) == ["new.json"]
    assert {name for check in CHECKS for name in check.files.split()} <= set(names)
    for pattern in validation.OTHER_FILES:
        assert any(fnmatch(name, pattern) for name in names), pattern
        assert not any(fnmatch(name, pattern) for check in CHECKS for name in check.files.split()), pattern


def test_what_no_public_call_hands_out_is_in_the_file_and_is_tested_where_the_page_says():
    for part, why in validation.OTHER_PARTS.items():
        files, names = part.split(": ")
        for name in files.split(", "):
            text = (FOLDER / name).read_text(encoding="utf-8")
            assert all(f'"{key}"' in text for key in names.split(", ")), part
        tests = re.findall(r"tests/test_\w+\.py", why)
        assert tests and all((ROOT / test).is_file() for test in tests), part


def test_every_call_of_the_analysis_is_compared_or_excused():
    called = {name for check in CHECKS for name in check.call.split(", ") if name}
    assert called <= set(analysis.__all__)
    assert set(analysis.__all__) - called == set(validation.OTHER_CALLS)


def test_a_comparison_really_calls_what_its_line_names():
    for check in CHECKS:
        code = Path(check.pairs.__code__.co_filename).read_text(encoding="utf-8")
        for name in check.call.split(", "):
            assert not name or f"analysis.{name}(" in code, (check.quantity, name)


def test_the_makefile_has_the_command_of_the_page():
    assert "benchmarks.validation docs/validation.md" in (ROOT / "Makefile").read_text(encoding="utf-8")
