"""Central location by named definition."""

from __future__ import annotations

import pytest

from onlm_lab.errors import StudyError
from onlm_lab.study import CENTRAL_DEFINITIONS, Protocol, central_definition


def test_the_default_is_the_inner_concentric_third_by_the_tumour_centre():
    found = central_definition(Protocol().central_definition)
    assert found is CENTRAL_DEFINITIONS["inner_third_concentric_centre"]
    assert found.text == "inner concentric third of the hemithorax, tumour centre"
    assert found.column == "central_inner_third_concentric_centre"


@pytest.mark.parametrize("key", CENTRAL_DEFINITIONS)
def test_a_definition_is_named_by_its_key_or_by_its_text_and_carries_its_source(key):
    found = CENTRAL_DEFINITIONS[key]
    assert central_definition(key) is central_definition(found.text) is found
    assert Protocol(central_definition=key).central_definition == key
    assert any(year in found.source for year in ("2006", "2016", "2017", "2019"))


def test_own_words_are_taken_only_after_other():
    assert central_definition("other: seen at bronchoscopy") is None
    for said in ("other:", "other: ", "seen at bronchoscopy", ""):
        with pytest.raises(StudyError, match="central_definition"):
            Protocol(central_definition=said)


def test_an_unknown_definition_is_refused_with_the_nearest():
    with pytest.raises(StudyError, match="did you mean 'hilar_contact'"):
        Protocol(central_definition="hilar contact")
