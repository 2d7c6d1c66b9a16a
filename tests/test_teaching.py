"""Lessons' questions: every wrong answer is known and told why; answers survive a restart and can be forgotten."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from onlm_lab import teaching
from onlm_lab.errors import OnlmError
from onlm_lab.teaching import judge, read_questions
from onlm_lab.teaching.answers import Answers
from onlm_lab.teaching.lesson import Lesson
from onlm_lab.teaching.question import QUESTIONS
from onlm_lab.teaching.question_card import QuestionCard

SMALL = """
[[question]]
id = "auc"
kind = "choice"
text = "What is it? <b>x</b>"
[[question.option]]
key = "pairs"
text = "Pairs"
right = true
why = "It ranks pairs."
[[question.option]]
key = "share"
text = "A share."
why = "Nobody was classified."

[[question]]
id = "which"
kind = "several"
text = "Which change?"
why = "Both move with it."
[[question.option]]
key = "ppv"
text = "PPV"
right = true
why = "It moves."
[[question.option]]
key = "npv"
text = "NPV"
right = true
why = "It moves too."
[[question.option]]
key = "auc"
text = "AUC"
why = "Ranks stay."

[[question]]
id = "ppv"
kind = "number"
text = "PPV?"
unit = "%"
tolerance = 0.01
why = "True positives among all called positive."
hint = "Divide by the called positive."
[[question.mistake]]
name = "sensitivity"
why = "That is the sensitivity."
[[question.mistake]]
value = 0.5
why = "That is a coin."
"""


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    return read_questions("small", folder=tmp_path)


@pytest.fixture
def lesson(tmp_path, questions, monkeypatch):
    monkeypatch.setattr("onlm_lab.teaching.lesson.read_questions", lambda name: questions)
    return lambda: Lesson("small", folder=tmp_path)


def test_a_choice_is_right_or_wrong_each_for_its_own_reason(questions):
    assert judge(questions["auc"], "pairs") == (True, "It ranks pairs.", True)
    assert judge(questions["auc"], "share") == (False, "Nobody was classified.", True)
    with pytest.raises(OnlmError, match="no option 'other'; it has pairs, share"):
        judge(questions["auc"], "other")


def test_the_option_that_came_true_in_the_notebook_decides_over_the_file(questions):
    assert judge(questions["auc"], "share", truth="share").right
    assert not judge(questions["auc"], "pairs", truth="share").right


def test_of_several_a_wrong_tick_is_told_why_and_a_missing_one_is_counted(questions):
    assert judge(questions["which"], ["npv", "ppv"]) == (True, "Both move with it.", True)
    wrong = judge(questions["which"], ["ppv", "auc"])
    assert not wrong.right and wrong.why == "“AUC”: Ranks stay. One that belongs is not ticked."
    assert judge(questions["which"], ["auc"]).why.endswith("2 that belong are not ticked.")
    assert judge(questions["which"], ["ppv", "npv", "auc"]).why == "“AUC”: Ranks stay."


@pytest.mark.parametrize(
    ("answer", "right", "why"),
    [
        (0.30, True, "True positives"),
        (0.31, True, "True positives"),
        (0.3101, False, "Divide by"),
        (0.80, False, "That is the sensitivity"),
        (0.505, False, "That is a coin"),
        (0.003, False, "percent are wanted, so type 30 and not 0.30"),
        (0.99, False, "Divide by"),
    ],
)
def test_a_number_is_judged_within_its_tolerance_and_known_mistakes_are_named(questions, answer, right, why):
    found = judge(questions["ppv"], answer, truth=0.30, mistakes={"sensitivity": 0.8})
    assert found.right is right and why in found.why
    assert found.foreseen is ("Divide by" not in why)


def test_a_number_near_the_truth_and_near_a_mistake_is_right(questions):
    assert judge(questions["ppv"], 0.305, truth=0.30, mistakes={"sensitivity": 0.305}).right


def test_a_number_without_a_truth_or_with_an_unknown_mistake_is_refused(questions):
    with pytest.raises(OnlmError, match="'ppv' asks for a number and was given none"):
        judge(questions["ppv"], 0.3)
    with pytest.raises(OnlmError, match="knows no mistake 'npv'"):
        judge(questions["ppv"], 0.3, truth=0.3, mistakes={"npv": 0.9})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('why = "Nobody was classified."', "", "option 'share' has no why"),
        ('why = "Nobody was classified."', 'why = "It ranks pairs."', "two options have the same why"),
        ('id = "which"', 'id = "auc"', "the id 'auc' is there 2 times"),
        ('key = "share"', 'key = "pairs"', "has the key 'pairs' 2 times"),
        ('right = true\nwhy = "It ranks pairs."', 'why = "It ranks pairs."', "has 0 right of 2 options"),
        ('kind = "several"', 'kind = "essay"', "is of kind 'essay'; wanted choice, several, number"),
        ('hint = "Divide by the called positive."', "", "has no hint"),
        ('name = "sensitivity"', 'name = "sensitivity"\nvalue = 0.8', "a mistake wants `value` or `name`, and `why`"),
        ("tolerance = 0.01", "tolerence = 0.01", "knows no 'tolerence'"),
        ('why = "Both move with it."', "", "wants at least one right option, and `why`"),
    ],
)
def test_each_fault_of_a_file_of_questions_is_a_sentence(tmp_path, old, new, said):
    assert SMALL.count(old) == 1
    (tmp_path / "small.toml").write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(OnlmError, match=said):
        read_questions("small", folder=tmp_path)


def test_an_unknown_lesson_is_told_which_there_are(tmp_path):
    with pytest.raises(OnlmError, match=r"no lesson 'roc'. There are:.*auc"):
        read_questions("roc")
    (tmp_path / "odd.toml").write_text("[[question]\n", encoding="utf-8")
    with pytest.raises(OnlmError, match=r"odd\.toml is no TOML"):
        read_questions("odd", folder=tmp_path)


SHIPPED = sorted(path.stem for path in QUESTIONS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_option_of_every_shipped_question_is_judged_with_its_own_why(name):
    for question in read_questions(name).values():
        whys = [judge(question, o.key).why for o in question.options] if question.kind == "choice" else []
        assert len(set(whys)) == len(whys)
        for option in question.options:
            if question.kind == "choice":
                assert judge(question, option.key) == (option.right, option.why, True)
                continue
            right = [o.key for o in question.options if o.right]
            assert judge(question, right).right
            changed = [k for k in right if k != option.key] if option.right else [*right, option.key]
            if changed:
                found = judge(question, changed)
                assert not found.right and (option.right or option.why in found.why)
        for mistake in question.mistakes:
            value = 0.123 if mistake.value is None else mistake.value
            told = {mistake.name: value} if mistake.name else {}
            far = value + 10 * question.tolerance + 1
            assert judge(question, value, truth=far, mistakes=told) == (False, mistake.why, True)
            assert judge(question, far, truth=far, mistakes=told) == (True, question.why, True)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_explanation_of_a_lesson_is_too_short_to_explain(name):
    assert name in {one.name for one in teaching.LESSONS}
    for question in read_questions(name).values():
        for why in [o.why for o in question.options] + [m.why for m in question.mistakes]:
            assert len(why) >= 40, (question.id, why)


def test_a_wrong_answer_given_on_the_card_shows_why_and_may_be_tried_again(lesson):
    card = lesson().check("auc")
    assert card.verdict == {}
    card.give("share")
    assert card.verdict == {"word": "Not yet", "why": "Nobody was classified.", "right": False, "tries": 1}
    card.give("pairs")
    assert card.verdict == {"word": "Right", "why": "It ranks pairs.", "right": True, "tries": 2}


def test_what_the_browser_sends_is_judged_and_nonsense_asks_for_an_answer(lesson):
    card = lesson().check("auc")
    for sent in (None, "nobody", 7, ["pairs"], {"x": 1}):
        card._heard(card, {"kind": "answer", "answer": sent}, [])
        assert card.verdict["why"] == "Choose one answer first." and card.answer is None
    card._heard(card, {"kind": "other", "answer": "pairs"}, [])
    card._heard(card, "pairs", [])
    assert card.answer is None
    card._heard(card, {"kind": "answer", "answer": "pairs"}, [])
    assert card.verdict["word"] == "Right"


def test_the_page_is_not_told_which_option_is_right(lesson):
    one = lesson()
    for name in ("auc", "which"):
        sent = json.dumps(one.check(name).get_state())
        assert "It ranks pairs" not in sent and "right = " not in sent and '"right"' not in sent


def test_percent_are_typed_and_fractions_are_judged(lesson):
    card = lesson().check("ppv", truth=0.30, mistakes={"sensitivity": 0.8})
    card.give(80)
    assert card.verdict["why"] == "That is the sensitivity."
    card.give(0.3)
    assert "type 30 and not 0.30" in card.verdict["why"]
    card.give(30)
    assert card.verdict["right"] is True and card.answer == 30
    for typed in (None, float("nan"), True, "30"):
        card.give(typed)
        assert card.verdict["why"] == "Type a number first."


def test_answers_survive_a_restart_of_the_kernel(lesson, tmp_path):
    first = lesson()
    first.predict("ppv").give(42)
    first.check("auc").give("share")
    second = lesson()
    predicted, checked = second.predict("ppv"), second.check("auc")
    assert predicted.answer == 42 and predicted.verdict["word"] == "Noted"
    assert checked.answer == "share" and checked.verdict["why"] == "Nobody was classified."
    said = json.loads((tmp_path / "answers" / "small.json").read_text(encoding="utf-8"))
    assert said == {
        "format": 1, "lesson": "small",
        "answers": {"ppv": {"value": 0.42, "tries": 1, "right": None},
                    "auc": {"value": "share", "tries": 1, "right": False}},
    }  # fmt: skip


def test_what_was_predicted_stands_beside_what_came_out(lesson):
    one = lesson()
    assert str(one.reveal("ppv", truth=0.3)) == (
        "You made no prediction this time; next time, try one first. It came out as: 30 %. "
        "True positives among all called positive."
    )
    one.predict("ppv").give(80)
    found = str(one.reveal("ppv", truth=0.3, mistakes={"sensitivity": 0.8}))
    assert found.startswith("You predicted: 80 %. It came out as: 30 %. Not as predicted. That is the sensitivity.")
    one.predict("ppv").give(99)
    assert "Divide by" not in str(one.reveal("ppv", truth=0.3))
    one.predict("ppv").give(30.5)
    assert "Just so." in str(one.reveal("ppv", truth=0.3))
    one.predict("auc").give("share")
    assert "You predicted: A share. It came out as: Pairs. Not as predicted. Nobody was classified. It ranks" in str(
        one.reveal("auc")
    )


def test_a_prediction_is_not_judged_before_the_cell_ran(lesson):
    one = lesson()
    card = one.predict("auc")
    card.give("share")
    assert card.verdict == {"word": "Noted", "why": "Now run the next cell.", "right": None, "tries": 1}


def test_a_text_of_a_question_is_shown_escaped(lesson):
    one = lesson()
    one.predict("auc").give("share")
    assert "&lt;b&gt;x" in one.progress().value and "<b>x" not in one.progress().value
    assert "<script>" not in teaching.lesson.Sentence("<script>")._repr_html_()


def test_a_file_of_answers_that_cannot_be_understood_is_put_aside_and_told(lesson, tmp_path):
    path = tmp_path / "answers" / "small.json"
    path.parent.mkdir()
    for k, broken in enumerate(('{"format": 1, "answers": {', "[]", '{"format": 9, "answers": {}}'), start=1):
        path.write_text(broken, encoding="utf-8")
        one = lesson()
        assert f"It is kept as small.unreadable-{k}.json" in one._repr_html_()
        assert (path.parent / f"small.unreadable-{k}.json").read_text(encoding="utf-8") == broken
        card = one.check("auc")
        assert "could not be understood" in card.note
        card.give("pairs")
        assert card.verdict["word"] == "Right" and path.is_file()


def test_where_the_answers_folder_is_a_file_that_is_told_and_answers_last_until_the_kernel_ends(lesson, tmp_path):
    (tmp_path / "answers").write_text("mine", encoding="utf-8")
    one = lesson()
    card = one.check("auc")
    card.give("pairs")
    assert "they last until this kernel ends" in card.note and card.verdict["word"] == "Right"
    assert one.answered()["auc"].right
    assert (tmp_path / "answers").read_text(encoding="utf-8") == "mine"


def test_an_answer_that_a_new_version_of_the_lesson_no_longer_knows_is_not_marked(lesson, tmp_path):
    Answers(tmp_path / "answers" / "small.json").keep("auc", "gone", right=False)
    one = lesson()
    assert one.check("auc").verdict == {} and one.check("auc").answer is None
    assert "no prediction" in str(one.reveal("auc"))


def test_forgetting_asks_once_and_then_clears_cards_file_and_progress(lesson, tmp_path):
    one = lesson()
    card, progress = one.check("auc"), one.progress()
    card.give("share")
    assert "1 of 3 questions answered" in progress.value and "not\u00a0yet" in progress.value
    button, sure, said = one.reset().children
    sure_shown = lambda: sure.layout.display != "none"  # noqa: E731
    assert not sure_shown()
    button.click()
    assert sure_shown() and "(1 of 3)?" in said.value and card.verdict["word"] == "Not yet"
    button.click()
    assert not sure_shown() and said.value == "Kept." and (tmp_path / "answers" / "small.json").is_file()
    button.click()
    sure.click()
    assert card.answer is None and card.verdict == {} and not (tmp_path / "answers" / "small.json").exists()
    assert "0 of 3 questions answered" in progress.value


def test_progress_counts_predictions_checks_and_tries(lesson):
    one = lesson()
    shown = one.progress()
    one.predict("ppv").give(10)
    check = one.check("auc")
    check.give("share")
    check.give("pairs")
    assert "2 of 3 questions answered: 1 predictions made, 1 checks right" in shown.value
    assert "2\u00a0tries" in shown.value and "1\u00a0try" in shown.value
    assert "MADE-UP DATA" in one._repr_html_() and "Research use only" in one._repr_html_()


def test_a_question_or_a_truth_that_is_not_there_is_said_in_the_cell(lesson):
    with pytest.raises(OnlmError, match="no question 'x'; it has auc, which, ppv"):
        lesson().check("x")
    with pytest.raises(OnlmError, match="pass truth="):
        lesson().check("ppv")
    with pytest.raises(OnlmError, match="knows no mistake 'nnt'"):
        lesson().check("ppv", truth=0.3, mistakes={"nnt": 4.0})


def test_a_card_has_a_question_a_button_and_no_html(questions):
    card = QuestionCard(questions["ppv"], heading="h", action="a", act=lambda *_: None)
    assert card.shown["unit"] == "%" and card.shown["options"] == []
    source = (QUESTIONS.parent / "question_card.js").read_text(encoding="utf-8")
    assert "innerHTML" not in source and "http" not in source


def test_the_lessons_load_neither_torch_nor_a_ct_reader_and_listing_them_loads_no_figure():
    def loaded(code: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return set(json.loads(done.stdout))

    heavy = {"torch", "timm", "pydicom", "SimpleITK", "lark"}
    assert not heavy & loaded(
        "from onlm_lab import teaching; teaching.Lesson; import onlm_lab.teaching.explorer, onlm_lab.teaching.opening"
    )
    light = loaded("from onlm_lab import teaching; teaching.LESSONS")
    assert not {"plotly", "pandas", "ipywidgets", "numpy"} & light
