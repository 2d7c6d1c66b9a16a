"""P(event by a day), as survival measures take it."""

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis.event_probability import with_event_risk
from onlm_lab.errors import OnlmError

ROWS = pd.DataFrame(
    {"patient_id": ["a", "b", "c"], "risk": [0.1, 0.2, 0.3], "p1": [0.1, 0.4, 0.2], "p3": [0.3, 0.6, 0.5]}
)


def values(event_risk, horizons, rows=ROWS, **more):
    found, names = with_event_risk(rows, event_risk=event_risk, endpoint="os", horizons_days=horizons, **more)
    return found[names].to_numpy().T.tolist()


def test_a_column_a_list_and_a_mapping_say_the_same():
    assert values("p1", [365]) == [[0.1, 0.4, 0.2]]
    assert values(["p1", "p3"], [365, 1095]) == values({1095: "p3", 365: "p1"}, [365, 1095])


def table(**more) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": ["c", "a"], "horizon_days": 365, "event_risk": [0.2, 0.1]} | more)


def test_a_table_is_matched_by_patient_and_who_is_not_in_it_has_none():
    [[a, b, c]] = values(table(), [365])
    assert (a, c) == (0.1, 0.2) and np.isnan(b)


def test_a_table_of_several_endpoints_and_models_is_read_for_the_one_asked():
    both = pd.concat([table(endpoint="os", model_id="m"), table(endpoint="rfs", model_id="m", event_risk=0.9),
                      table(endpoint="os", model_id="other", event_risk=0.8)])  # fmt: skip
    [[a, _, c]] = values(both, [365], rows=ROWS.assign(model_id="m"))
    assert (a, c) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("event_risk", "horizons", "said"),
    [
        ("risk", [365], "P\\(N\\+\\)"),
        (["risk_raw"], [365], "P\\(N\\+\\)"),
        ("p1", [365, 1095], "names 1"),
        ({365: "p1"}, [1095], "no column for the horizon 1095"),
        ("nothing", [365], "nothing"),
        ("p1", [0], "above 0"),
        (table(), [1095], "no row of endpoint 'os' at 1095 days; its horizons are 365"),
        (pd.concat([table(), table()]), [365], "more than one row"),
    ],
)
def test_what_is_no_prediction_of_the_event_is_refused(event_risk, horizons, said):
    with pytest.raises(OnlmError, match=said):
        values(event_risk, horizons)


@pytest.mark.parametrize("bad", [[1.2, 0.1, 0.1], [-0.1, 0.1, 0.1], ["x", "0.1", "0.2"]])
def test_a_probability_lies_between_0_and_1(bad):
    with pytest.raises(OnlmError, match="probability in"):
        values("p", [365], rows=ROWS.assign(p=bad))
