"""The instrument of the visual Turing test: order, blinding, saving, going on, and the widget around it."""

import errno
import os

import numpy as np
import pytest
import torch
from project import ROOT

from medlab.reader_study import (
    TuringTest,
    collect_answers,
    machine_rater,
    read_answers,
    turing_counts,
    turing_plot,
    turing_widget,
)
from medlab.reader_study.answers import HEADER

N = 5


class Clock:
    """Two seconds pass between any two looks at it."""

    def __init__(self, step=2.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def images(seed, n=N, size=8):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


REAL, SYNTHETIC = images(0), images(1)


def make(tmp_path, **changes):
    given = {"real": REAL, "synthetic": SYNTHETIC, "file": tmp_path / "ann.csv", "seed": 1, "clock": Clock()} | changes
    return TuringTest(given.pop("real"), given.pop("synthetic"), given.pop("file"), **given)


def through(test, n):
    """Answer `n` images with what they are; returns the bytes of the images seen."""
    seen = []
    for _ in range(n):
        seen.append(test.show().tobytes())
        test.answer(test.order[test.trial - 1][0])
    return seen


def test_every_image_is_shown_once_in_an_order_that_the_seed_decides(tmp_path):
    test = make(tmp_path)
    seen = through(test, 2 * N)
    everything = {(255 * image[0]).round().to(torch.uint8).numpy().tobytes() for image in [*REAL, *SYNTHETIC]}
    assert len(set(seen)) == 2 * N and set(seen) == everything and test.done
    assert test.order == make(tmp_path / "again").order
    orders = {tuple(make(tmp_path / str(seed), seed=seed).order) for seed in range(20)}
    assert len(orders) == 20
    firsts = [order[0][0] for order in orders]
    assert 4 <= firsts.count("real") <= 16  # no kind comes first
    with pytest.raises(ValueError, match="all images are answered"):
        test.show()


def test_the_report_is_that_of_the_answers(tmp_path):
    test = make(tmp_path)
    through(test, 2 * N)
    report = test.report()
    assert report.accuracy.value == 1 and report.images == 2 * N and report.seconds == {"all": 2.0, "right": 2.0}


def test_each_answer_is_in_the_file_and_the_test_goes_on_after_a_kill(tmp_path):
    test = make(tmp_path)
    for n in range(1, 7):
        through(test, 1)
        assert len(read_answers(test.file)) == n
    del test  # nothing was closed
    again = make(tmp_path)
    assert again.trial == 7 and len(again.answers) == 6 and not again.done
    kept = again.file.read_bytes()
    through(again, 4)
    assert again.done and again.file.read_bytes().startswith(kept)
    assert make(tmp_path).done


def test_a_line_cut_by_the_crash_is_asked_again(tmp_path):
    through(make(tmp_path), 3)
    file = tmp_path / "ann.csv"
    file.write_bytes(file.read_bytes()[:-4])
    again = make(tmp_path)
    assert again.trial == 3
    through(again, 8)
    assert again.done and len(read_answers(file)) == 10
    file.write_text(HEADER[:9])
    assert make(tmp_path).trial == 1


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"seed": 2}, "seed differ.*seed 1"),
        ({"rater": "bob"}, "rater differ.*'ann'"),
        ({"real": images(7)}, "kind: images differ"),
        ({"real": REAL[:4], "synthetic": SYNTHETIC[:4]}, "images, number of images differ"),
    ],
)
def test_the_file_of_another_test_is_refused(tmp_path, changes, hint):
    through(make(tmp_path), 2)
    before = (tmp_path / "ann.csv").read_bytes()
    with pytest.raises(ValueError, match=hint):
        make(tmp_path, **changes)
    assert (tmp_path / "ann.csv").read_bytes() == before


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "ann.csv").write_text("name,mark\nann,1")
    with pytest.raises(ValueError, match="not an answer file"):
        make(tmp_path)
    assert (tmp_path / "ann.csv").read_text() == "name,mark\nann,1"


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"synthetic": images(1, size=16)}, r"real images are \(1, 8, 8\), synthetic ones \(1, 16, 16\).*size=16"),
        ({"synthetic": images(1, n=3)}, "5 real and 3 synthetic"),
        ({"synthetic": 2 * SYNTHETIC - 1}, r"must lie in \[0, 1\].*medlab.train.sample"),
        ({"synthetic": SYNTHETIC * float("nan")}, "synthetic images: 5 images hold NaN"),
        (
            {"synthetic": torch.cat([SYNTHETIC[:4], SYNTHETIC[:1]])},
            "image 4 is the same as synthetic image 0",
        ),
        ({"synthetic": torch.cat([SYNTHETIC[:4], REAL[2:3]])}, "synthetic image 4 is the same as real image 2"),
        ({"synthetic": torch.rand(5, 2, 8, 8)}, "1 or 3"),
        ({"real": REAL[:0], "synthetic": SYNTHETIC[:0]}, "got"),
        ({"rater": " "}, "is no name"),
        ({"rater": "a\nb"}, "is no name"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_a_file_is_made(tmp_path, changes, hint):
    with pytest.raises(ValueError, match=hint):
        make(tmp_path, **changes)
    assert not (tmp_path / "ann.csv").exists()


def test_two_windows_on_one_file_do_not_mix(tmp_path):
    first, second = make(tmp_path), make(tmp_path)
    first.show()
    through(second, 1)
    with pytest.raises(ValueError, match="changed by someone else"):
        first.answer("real")
    assert len(read_answers(first.file)) == 1


def test_a_full_disk_leaves_the_answers_as_they_were(tmp_path, monkeypatch):
    test = make(tmp_path)
    through(test, 2)
    before = test.file.read_bytes()
    test.show()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(
            OSError, match=r"could not write .*ann.csv: No space left .*it needs \d+ bytes, .* are free"
        ):
            test.answer("real")
    assert test.file.read_bytes() == before and test.trial == 3
    assert test.answer("real").trial == 3


def test_answers_before_an_image_or_within_a_fifth_of_a_second_do_not_count(tmp_path):
    test = make(tmp_path, clock=Clock(0.1))
    with pytest.raises(ValueError, match="call show"):
        test.answer("real")
    test.show()
    assert test.answer("real") is None and test.trial == 1
    assert test.answer("real").seconds == 0.2
    with pytest.raises(ValueError, match="Did you mean 'synthetic'"):
        test.answer("synthetik")


def test_color_and_bytes_are_shown_as_they_are(tmp_path):
    color = (255 * torch.rand(4, 3, 8, 8)).to(torch.uint8)
    test = make(tmp_path, real=color[:2], synthetic=color[2:])
    shown = test.show()
    assert shown.shape == (8, 8, 3)
    assert any(np.array_equal(shown, image.permute(1, 2, 0)) for image in color)


# The widget


def parts(widget):
    _, begin, status, picture, row, report = widget.children
    return begin, status, picture, *row.children, report


def test_the_widget_takes_keys_and_clicks_and_ends_with_the_report(tmp_path):
    test = make(tmp_path)
    begin, status, picture, field, real, synthetic, report = parts(turing_widget(test))
    assert begin.description == "Start" and picture.value == ""
    field.value = "r"
    assert test.trial == 1 and field.value == "" and "Press the button" in status.value
    real.click()
    assert test.trial == 1  # nothing is shown yet
    begin.click()
    assert "Image 1 of 10" in status.value and 'alt="Image 1 of 10, real or synthetic?"' in picture.value
    for press, given in [
        (lambda: setattr(field, "value", "r"), "real"),
        (lambda: setattr(field, "value", "S"), "synthetic"),
        (lambda: setattr(field, "value", "rs"), "synthetic"),  # a letter that came before the field was emptied
        (real.click, "real"),
        (synthetic.click, "synthetic"),
    ]:
        press()
        assert test.answers[-1].answer == given and field.value == ""
    field.value = "x"
    assert test.trial == 6 and "type R" in status.value
    for _ in range(5):
        field.value = "r"
    assert test.done and field.disabled and real.disabled and picture.value == ""
    assert "real as real" in report.value and "accuracy" in report.value
    assert len(read_answers(test.file)) == 10


def test_the_page_never_says_which_is_which_before_the_end(tmp_path):
    test = make(tmp_path)
    begin, status, picture, field, *_, report = parts(turing_widget(test))
    begin.click()
    said = set()
    for _ in range(9):
        text = picture.value.partition("base64")[0] + status.value
        said.add("".join(letter for letter in text if not letter.isdigit()))
        field.value = "s"
    assert len(said) == 1 and report.value == ""


def test_the_widget_goes_on_and_shows_a_finished_test(tmp_path):
    through(make(tmp_path), 6)
    begin, status, *_ = parts(turing_widget(make(tmp_path)))
    assert begin.description == "Go on with image 7"
    begin.click()
    assert "Image 7 of 10" in status.value
    through(make(tmp_path), 4)
    *_, report = parts(turing_widget(make(tmp_path)))
    assert "accuracy" in report.value


def test_the_widget_shows_and_raises_what_went_wrong(tmp_path):
    test = make(tmp_path)
    begin, status, picture, field, *_ = parts(turing_widget(test))
    begin.click()
    test.file.unlink()
    with pytest.raises(ValueError, match="changed by someone else"):
        field.value = "r"
    assert 'role="alert"' in status.value and "changed by someone else" in status.value
    assert test.trial == 1


# Machine raters, and the figure


def test_a_machine_tells_what_differs_and_guesses_where_nothing_does(tmp_path):
    bright, dark = 0.5 + images(2, 64) / 2, images(3, 64) / 2
    test = make(tmp_path, real=bright[:10], synthetic=dark[:10], clock=Clock(0.01))
    test.answer_all(machine_rater(bright[10:], dark[10:], epochs=8))
    assert test.report().accuracy.value == 1 and len(read_answers(test.file)) == 20
    same = make(tmp_path / "same", real=images(4, 40), synthetic=images(5, 40))
    same.answer_all(machine_rater(images(6, 64), images(7, 64), epochs=2))
    assert same.report().accuracy.low < 0.5 < same.report().accuracy.high


def test_the_plot_says_what_it_shows():
    fig = turing_plot({"T1, DCGAN": turing_counts(26, 24, 6, 44), "FLAIR, DCGAN": turing_counts(12, 38, 8, 42)})
    assert "T1, DCGAN 70% [60%, 79%]" in fig.alt and "biased towards synthetic" in fig.alt
    legend = [line.get_text() for line in fig.axes[1].get_legend().get_texts()]
    assert legend[0] == "T1, DCGAN\nd' 1.23 [0.66, 1.79], c -0.56"
    assert fig.png()
    with pytest.raises(ValueError, match="nothing to draw"):
        turing_plot({})


def test_a_class_judges_the_same_images_whatever_its_machines_and_its_answers_pool(tmp_path):
    with np.load(ROOT / "data" / "reader_study" / "pet.npz") as stored:
        sets = {name: torch.from_numpy(stored[name]) for name in stored}
    assert {name: tuple(one.shape) for name, one in sets.items()} == {
        "real": (20, 1, 32, 32), "synthetic": (20, 1, 32, 32),
        "known_real": (200, 1, 32, 32), "known_synthetic": (200, 1, 32, 32),
    }  # fmt: skip
    everything = torch.cat(list(sets.values()))
    assert len(everything.flatten(1).unique(dim=0)) == len(everything), "a machine would have seen what it judges"
    threads, middle = torch.get_num_threads(), sets["real"].float().mean() / 255
    for rater, count, precision in (("ann", 1, torch.float32), ("bob", 2, torch.bfloat16)):
        torch.set_num_threads(count)
        test = make(
            tmp_path, real=sets["real"], synthetic=sets["synthetic"], file=tmp_path / f"{rater}.csv", seed=count
        )
        with torch.autocast("cpu", precision, enabled=count == 2):
            test.answer_all(lambda image: image.mean() > middle)
    torch.set_num_threads(threads)
    pooled = collect_answers(tmp_path)
    [agreement] = pooled.agreement.values()
    assert set(pooled.reports) == {"ann", "bob"}
    assert agreement.images == 40 and list(agreement.cohen.values()) == [1]
