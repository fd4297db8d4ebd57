"""The visual Turing test: its statistics against published and hand-worked numbers, its files, and bad input."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from medlab.reader_study import (
    collect_answers,
    rater_agreement,
    read_answers,
    report_answers,
    turing_counts,
    turing_table,
    turing_test,
)
from medlab.reader_study.answers import HEADER, Answer, append_answers

T1_DCGAN = (26, 24, 6, 44)  # Han et al. 2018, as a report quotes its table


def test_the_first_row_of_han():
    report = turing_counts(*T1_DCGAN)
    assert report.accuracy.value == 0.70 and report.images == 100
    assert turing_counts(*map(float, T1_DCGAN)) == report  # as a table read from a file has them
    assert report.d_prime.value == pytest.approx(1.23, abs=0.01)
    assert report.d_prime.value == pytest.approx(norm.ppf(44 / 50) - norm.ppf(24 / 50))
    assert report.criterion < 0 and report.bias == "synthetic"
    assert report.halves is None and report.p_learning is None and report.seconds == {}
    assert 0.6 < report.accuracy.low < 0.61 and report.p_value < 1e-4


def test_forty_to_sixty_of_a_hundred_is_what_guessing_gives():
    def of(right):
        return turing_counts(right // 2, 50 - right // 2, 50 - (right - right // 2), right - right // 2)

    assert [of(right).p_value < 0.05 for right in (39, 40, 60, 61)] == [True, False, False, True]
    for right in (39, 40, 60, 61):  # the exact interval says the same as the exact test, here
        low, high = of(right).accuracy[1:]
        assert (low > 0.5 or high < 0.5) == (of(right).p_value < 0.05)


def test_answers_in_order_give_the_same_as_their_counts_and_more():
    truth = np.array([0, 1, 0, 1, 0, 1, 0, 1], bool)
    given = np.array([1, 0, 1, 0, 0, 1, 0, 1], bool)  # all wrong, then all right
    report = turing_test(truth, given, seconds=[2, 2, 2, 2, 1, 1, 1, 1])
    by_counts = turing_counts(2, 2, 2, 2)
    assert (report.accuracy, report.d_prime, report.criterion) == (
        by_counts.accuracy, by_counts.d_prime, by_counts.criterion,
    )  # fmt: skip
    assert [half.value for half in report.halves] == [0.0, 1.0]
    assert report.p_learning == pytest.approx(2 / math.comb(8, 4))
    assert report.seconds == {"all": 1.5, "right": 1.0, "wrong": 2.0}
    assert report.d_prime.value == 0 and report.bias == "neither"
    assert "p = 0.029 for no change" in str(report)


def test_perfect_answers_have_a_finite_d_prime_by_the_stated_correction():
    report = turing_counts(50, 0, 0, 50)
    assert report.d_prime.value == pytest.approx(2 * norm.ppf(1 - 1 / 100))
    assert report.criterion == pytest.approx(0)
    always = turing_counts(0, 50, 0, 50)  # says "synthetic" to everything
    assert always.accuracy.value == 0.5 and always.d_prime.value == pytest.approx(0) and always.bias == "synthetic"


def test_the_interval_of_d_prime_covers_what_was_simulated():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        hits, alarms = rng.binomial(50, norm.cdf(0.9)), rng.binomial(50, norm.cdf(-0.3))
        d = turing_counts(50 - alarms, alarms, 50 - hits, hits).d_prime
        covered += d.low <= 1.2 <= d.high
    assert 0.92 < covered / 400 < 0.985


def test_the_table_has_one_line_per_rater():
    table = turing_table({"T1, DCGAN": turing_counts(*T1_DCGAN), "a": turing_counts(25, 25, 25, 25)})
    assert list(table.index) == ["T1, DCGAN", "a"] and table.loc["a", "p"] == "1"
    counts = ["real as real", "real as synth", "synth as real", "synth as synth"]
    assert list(table)[3:7] == counts and tuple(table.loc["T1, DCGAN", counts]) == T1_DCGAN
    assert table.loc["T1, DCGAN", "accuracy"] == "70% [60%, 79%]" and table.loc["T1, DCGAN", "d'"].startswith("1.23 [")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: turing_test([1, 0], [1]), "2 images but 1 answers"),
        (lambda: turing_test([1, 1], [1, 0]), "0 real and 2 synthetic"),
        (lambda: turing_test([0, 2], [1, 0]), "flat list of True"),
        (lambda: turing_test(["real"], ["real"]), "flat list of True"),
        (lambda: turing_test([1, 0], [1, 0], [1.0, -1.0]), "at least 0 s"),
        (lambda: turing_test([1, 0], [1, 0], [1.0]), "at least 0 s"),
        (lambda: turing_test([1, 0], [1, 0], level=1.0), "level"),
        (lambda: turing_counts(1, 2, 3, -1), "whole numbers"),
        (lambda: turing_counts(0, 0, 3, 1), "0 real"),
        (lambda: rater_agreement({"a": [1, 0]}), "two raters"),
        (lambda: rater_agreement({"a": [1, 0], "b": [1]}), "two raters"),
        (lambda: rater_agreement({"a": [], "b": []}), "flat list of True"),
    ],
)
def test_what_makes_no_sense_is_refused(call, hint):
    with pytest.raises(ValueError, match=hint):
        call()


def test_kappa_by_hand():
    rng = np.random.default_rng(0)
    a = rng.random(60) < 0.5
    b, c = np.where(rng.random(60) < 0.7, a, rng.random(60) < 0.3), rng.random(60) < 0.6
    two, three = rater_agreement({"a": a, "b": b}), rater_agreement({"a": a, "b": b, "c": c})
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    assert two.cohen["a", "b"] == pytest.approx(((a == b).mean() - chance) / (1 - chance))
    assert two.fleiss is None and set(three.cohen) == {("a", "b"), ("a", "c"), ("b", "c")}
    votes = np.stack([a + 0 + b + c, 3 - (a + 0 + b + c)], 1)
    chance = ((votes.sum(0) / 180) ** 2).sum()
    assert three.fleiss == pytest.approx((((votes**2).sum(1) - 3).mean() / 6 - chance) / (1 - chance), abs=1e-4)
    assert "60 images" in str(three) and "Fleiss" in str(three)


def test_kappa_of_raters_who_always_say_the_same():
    yes, no = np.ones(5, bool), np.zeros(5, bool)
    assert rater_agreement({"a": yes, "b": yes}).cohen["a", "b"] == 1
    assert rater_agreement({"a": yes, "b": no}).cohen["a", "b"] == 0
    assert rater_agreement({"a": yes, "b": yes, "c": yes}).fleiss == 1


# Files


def answers(rater="ann", n=6, of=8, seed=3, test="abc"):
    """Ann calls every second image right."""
    kinds = ["real", "synthetic"]
    return [
        Answer(rater, test, seed, i + 1, of, i // 2, kinds[i % 2], kinds[(i % 2) ^ (i // 2 % 2)], 1.25)
        for i in range(n)
    ]


def write(path, lines):
    for line in lines:
        append_answers(path, line)
    return path


def test_a_file_holds_the_answers_and_each_is_there_at_once(tmp_path):
    path, given = tmp_path / "new" / "ann.csv", answers(rater='Ann, "the second"')
    for count, answer in enumerate(given, start=1):
        append_answers(path, answer)
        assert read_answers(path) == given[:count]
    report = report_answers(read_answers(path))
    assert report.images == 6 and report.seconds["all"] == 1.25


def test_a_last_line_that_was_cut_costs_that_answer_only(tmp_path):
    path = write(tmp_path / "ann.csv", answers())
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        if cut in ends or cut == 0:
            assert len(read_answers(path)) == max(sum(end <= cut for end in ends) - 1, 0)
            continue
        with pytest.raises(ValueError, match="cut short"):
            read_answers(path)
        assert path.read_bytes() == whole[:cut]  # reading changes nothing
        kept = read_answers(path, repair=True)
        assert kept == answers()[: max(sum(end <= cut for end in ends) - 1, 0)] == read_answers(path)
        assert whole.startswith(path.read_bytes())


def test_a_last_line_cut_within_a_letter_is_repaired_too(tmp_path):
    path = write(tmp_path / "a.csv", answers(rater="Zoë"))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex("ë".encode()) + 1])
    assert len(read_answers(path, repair=True)) == 5


LINE = "ann,abc,3,1,8,0,real,real,1.250"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name,mark\nann,1\n", "not an answer file.*name,mark.*Ask for the file as the test wrote it"),
        ("name,mark\nann,1", "not an answer file"),
        (HEADER.replace(",", ";") + "\n", "spreadsheet"),
        (f"{HEADER},extra\n{LINE},1\n", "not an answer file"),
        (f"{HEADER}\n{LINE},1\n", "line 2 does not hold"),
        (f"{HEADER}\nann,abc,3,1,8,0,real\n", "line 2 does not hold"),
        (f"{HEADER}\n{LINE.replace('real,real', 'real,unsure')}\n", "line 2 does not hold"),
        (f"{HEADER}\n{LINE.replace('1.250', 'nan')}\n", "line 2 does not hold"),
        (f"{HEADER}\n{LINE}\n{LINE}\n", "line 3 is trial 1 of 8, expected 2"),
        (f"{HEADER}\n{LINE}\n{LINE.replace('3,1,8', '3,3,8')}\n", "expected 2: missing lines"),
        (f"{HEADER}\n{LINE}\n{LINE.replace('3,1,8', '3,2,8')}\n", "answered twice"),
        (f"{HEADER}\n{LINE}\n{LINE.replace('ann,abc,3,1', 'bob,abc,3,2')}\n", "another test or rater"),
    ],
)
def test_foreign_and_damaged_files_are_refused_and_left_alone(tmp_path, text, hint):
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8", newline="")
    for repair in (False, True):
        with pytest.raises(ValueError, match=hint):
            read_answers(path, repair=repair)
        assert path.read_text(encoding="utf-8") == text


def test_a_picture_is_no_answer_file(tmp_path):
    (tmp_path / "file.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(ValueError, match="no text in UTF-8"):
        read_answers(tmp_path / "file.csv")


def test_a_lecturer_gets_one_table_of_a_class(tmp_path):
    for name, n in (("ann", 8), ("bob", 8), ("eve", 6)):
        write(tmp_path / f"{name}.csv", answers(name, n))
    write(tmp_path / "other.csv", answers("joe", 8, test="other images"))
    found = collect_answers(tmp_path)
    assert list(found.reports) == ["ann", "bob", "eve", "joe"]
    assert found.unfinished == {"eve": "6 of 8"}
    assert list(found.agreement) == ["abc"] and found.agreement["abc"].images == 6
    assert found.agreement["abc"].fleiss == 1
    assert (
        found.reports["ann"].images == 8
        and "Unfinished: eve" in str(found)
        and "Unfinished: eve" in found._repr_html_()
    )


def test_a_file_that_does_not_fit_spoils_itself_only(tmp_path):
    with pytest.raises(FileNotFoundError, match="no answer files"):
        collect_answers(tmp_path)
    write(tmp_path / "a.csv", answers())
    write(tmp_path / "b.csv", answers())
    (tmp_path / "folder.csv").mkdir()
    bad = {
        "empty": "",
        "marks": "name,mark\nann,1\n",
        "cut": f"{HEADER}\n{LINE[:9]}",
        "zero": f"{HEADER}\nann,\0,1\n",
        "long": f"{HEADER}\n{'x' * 200_000},abc,3,1,8,0,real,real,1.0\n",
        "terminal": f"{HEADER}\n{LINE.replace('ann', 'an' + chr(27) + '[2J')}\n",
        "one": f"{HEADER}\n{LINE.replace('ann', 'joe')}\n",
    }
    for name, text in bad.items():
        (tmp_path / f"{name}.csv").write_text(text)
    found = collect_answers(tmp_path)
    assert list(found.reports) == ["ann"] and "empty" in found.unfinished | found.left_out
    assert {*found.left_out, "empty.csv"} == {"b.csv", "folder.csv", *(f"{name}.csv" for name in bad)}
    assert "another file of rater 'ann' is there" in found.left_out["b.csv"]
    for page in (str(found), found._repr_html_()):
        assert f"{len(found.left_out)} left out:" in page and "marks.csv: " in page and chr(27) not in page
    (tmp_path / "folder.csv").rmdir()
    for name in bad:
        (tmp_path / f"{name}.csv").unlink()
    (tmp_path / "b.csv").write_text(HEADER + "\n")  # opened and not begun
    found = collect_answers(tmp_path)
    assert list(found.reports) == ["ann"] and found.unfinished["b"] == "none"
    (tmp_path / "a.csv").unlink()
    with pytest.raises(ValueError, match="no answers yet in the files of .*: b"):
        collect_answers(tmp_path)
