"""The door of the analysis room: every call is there, none is loaded before it is asked for."""

import subprocess
import sys

import pytest

from onlm_lab import analysis

CALLS = {
    "roc", "compare_aucs", "choose_threshold", "operating_point", "assess_calibration", "net_benefit", "by_subgroup",
    "by_centre", "reclassification", "kaplan_meier", "cox", "cumulative_incidence", "recalibrate",
    "apply_recalibration", "abstention", "suspicion",
}  # fmt: skip


def test_every_call_is_a_function_also_after_its_module_was_imported():
    assert set(analysis.__all__) >= CALLS
    for name in analysis.__all__:
        assert callable(getattr(analysis, name)), name
        assert callable(getattr(analysis, name)), name


def test_importing_the_room_loads_no_statistics():
    code = (
        "import sys; import onlm_lab.analysis; "
        "print([m for m in ('numpy', 'pandas', 'scipy', 'statsmodels', 'lifelines', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_binary_statistics_need_no_statsmodels_sklearn_or_lifelines():
    code = (
        "import sys; from onlm_lab.analysis import (roc, operating_point, assess_calibration, net_benefit, "
        "by_subgroup, by_centre, reclassification, recalibrate, abstention, suspicion); "
        "print([m for m in ('statsmodels', 'lifelines', 'sklearn', 'plotly', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_wrong_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'rock'; it has abstention"):
        analysis.rock  # noqa: B018
    assert "roc" in dir(analysis)
