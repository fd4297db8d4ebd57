"""Predictions: a choice is on disk at once and stands in the line with the result; without one nothing happens."""

import os

import pytest
from ipywidgets import RadioButtons, Text, VBox

from medlab.classroom import check, predictions


@pytest.fixture
def shown(tmp_path, monkeypatch) -> list[VBox]:
    """The widgets that were displayed; answers go into a folder of this test."""
    monkeypatch.chdir(tmp_path)
    widgets: list[VBox] = []
    monkeypatch.setattr(predictions, "display", widgets.append)
    return widgets


def test_a_choice_is_kept_and_stands_beside_the_result(shown, tmp_path, capsys):
    check.predict("01-loss", "How does the loss fall?", ["slowly", "it does not"])
    assert capsys.readouterr().out == "Predict: How does the loss fall?\n"
    field, status = shown[0].children
    assert isinstance(field, RadioButtons) and field.value is None
    assert check.predicted("01-loss", 0.12) == "No prediction yet. It is: 0.12."
    assert list(tmp_path.iterdir()) == []

    field.value = "slowly"
    assert (tmp_path / "answers" / "01-loss.txt").read_text() == "slowly\n"
    assert 'role="status"' in status.value and "Kept" in status.value
    field.value = "it does not"
    assert check.predicted("01-loss", 0.12) == "You said: it does not. It is: 0.12."

    check.predict("01-loss", "How does the loss fall?", ["slowly", "it does not"])
    assert shown[1].children[0].value == "it does not"  # also in another session
    check.predict("01-loss", "How does the loss fall?", ["fast", "slowly"])
    assert shown[2].children[0].value is None  # the lesson has other choices by now


def test_what_is_typed_is_kept_in_one_short_line(shown):
    check.predict("00-hu", "Which HU?")
    field = shown[0].children[0]
    assert isinstance(field, Text) and field.value == ""
    field.value = "  about\n-900 ü "
    assert check.predicted("00-hu", "-907 HU") == "You said: about -900 ü. It is: -907 HU."
    field.value = "9" * 1000
    assert check.predicted("00-hu", "-907 HU") == f"You said: {'9' * 200}. It is: -907 HU."
    field.value = ""  # taken back
    assert check.predicted("00-hu", "-907 HU").startswith("No prediction yet")


def test_a_choice_that_cannot_be_kept_says_so_in_the_widget(shown, tmp_path):
    (tmp_path / "answers").write_text("a file where the folder should be")
    check.predict("00-hu", "Which HU?", ["-1000", "0"])
    field, status = shown[0].children
    with pytest.raises(OSError, match="could not write"):
        field.value = "0"
    assert 'role="alert"' in status.value
    assert check.predicted("00-hu", 1).startswith("No prediction yet")


def test_a_file_of_anything_is_read_as_a_short_text(shown, tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "00-hu.txt").write_bytes(b"\xff" + os.urandom(5000))
    assert len(check.predicted("00-hu", 1)) < 250


@pytest.mark.parametrize("name", ["", "00", "../00-hu", "00-hu/..", "00-HU", "00-hu.txt"])
def test_a_prediction_has_a_name_of_one_form(name, shown):
    for ask in (lambda: check.predict(name, "Which HU?"), lambda: check.predicted(name, 1)):
        with pytest.raises(ValueError, match="00-smallest-hu"):
            ask()
