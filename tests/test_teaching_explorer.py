"""What a student moves is drawn and said, and nothing that the browser sends can move it elsewhere."""

from __future__ import annotations

import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.sliders import Menu, Slider


def drawn(threshold: float, who: str) -> Drawn:
    if threshold > 0.5:
        raise OnlmError("No patient is left <here>.")
    return Drawn(theme.blank(title=f"{who} at {threshold:g}", mark=theme.MADE_UP), f"{who}: {threshold:.0%} & more")


CONTROLS = (
    Slider("threshold", "Act from", low=0.0, high=0.6, step=0.1, value=0.2, unit="%"),
    Menu("who", "Who", {"all": "Everybody", "few": "A few"}, value="all"),
)


@pytest.fixture
def explorer():
    return Explorer(drawn, controls=CONTROLS, name="threshold")


def test_it_is_drawn_at_once_and_again_when_something_is_moved(explorer):
    assert explorer.sentence == "all: 20% & more" and explorer.figure["layout"]["title"]["text"] == "all at 0.2"
    assert explorer.move("threshold", 0.4) == "all: 40% & more"
    assert explorer.move("who", "few") == "few: 40% & more"
    assert explorer.figure["layout"]["title"]["text"] == "few at 0.4"
    assert "MADE-UP DATA" in {a["text"] for a in explorer.figure["layout"]["annotations"]}


def test_what_is_said_is_escaped_and_an_error_is_a_sentence(explorer):
    assert "&amp; more" in explorer.children[2].value
    assert explorer.move("threshold", 0.6) == "No patient is left <here>."
    assert "&lt;here&gt;" in explorer.children[2].value


@pytest.mark.parametrize(("name", "value"), [("threshold", 0.7), ("threshold", "x"), ("who", "nobody"), ("age", 1)])
def test_nobody_moves_it_where_it_does_not_reach(explorer, name, value):
    with pytest.raises(OnlmError, match=r"does not reach|There is no slider 'age'; there are threshold, who"):
        explorer.move(name, value)


def test_of_what_the_browser_sends_only_known_places_are_taken_and_each_move_is_answered(explorer):
    sliders = explorer.children[0]
    sliders._heard(sliders, {"kind": "moved", "number": 1, "values": {"threshold": 0.1, "who": "x", "y": 2}}, [])
    assert explorer.sentence == "all: 10% & more" and sliders.answered == 1
    for nonsense in ("x", {"kind": "moved"}, {"kind": "moved", "number": 2, "values": []}, {"kind": "y", "number": 3}):
        sliders._heard(sliders, nonsense, [])
    assert sliders.answered == 1 and sliders.values == {"threshold": 0.1, "who": "all"}
    sliders._heard(sliders, {"kind": "moved", "number": 2, "values": {"threshold": 0.6}}, [])
    assert sliders.answered == 2 and "No patient" in explorer.sentence
