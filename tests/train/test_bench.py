"""`make bench`: what it prints of ratios that fell; the measurements themselves are tried small."""

import sys

import pytest
import torch
from project import ROOT

from medlab.runs.records import Recorded

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

import bench


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """A machine on which `fit` is 2.1 times as fast as the loop of others, and that has no record; what measures."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["bench.py"])
    monkeypatch.setattr(bench, "recorded", lambda name: Recorded(name, None))
    measure = {"peaks": bench.peaks, "trainings": bench.trainings, "others": bench.others}
    monkeypatch.setattr(bench, "peaks", lambda: {"matrix product, float32": 200.0, "memory": 20.0})
    monkeypatch.setattr(bench, "trainings", lambda: {"fit": (2.1, 50.0)})
    monkeypatch.setattr(bench, "others", lambda: {"Augment": 30.0})
    yield measure
    torch.set_num_threads(threads)


def test_the_table_names_the_machine_and_the_share_of_its_peak(capsys):
    bench.main()
    lines = capsys.readouterr().out.splitlines()
    assert ", one core, " in lines[0]
    assert lines[3].split() == ["fit", "2.10", "times", "25%", "of", "the", "matrix", "product"]
    assert lines[4].split() == ["Augment", "30.00", "times"]


def test_only_a_ratio_that_fell_by_more_than_a_fifth_on_the_same_kind_of_machine_is_red(monkeypatch, capsys):
    here = bench.Clock("").provenance["hardware"]
    for kind, on_record, red in ((here, 2.7, 1), (here, 2.5, 0), (here | {"cpu": "another"}, 2.7, 0)):
        values = {"ratios": {"fit": on_record, "Augment": 31.0}}
        record = Recorded("bench", {"hardware": kind, "values": values})
        monkeypatch.setattr(bench, "recorded", lambda name, record=record: record)
        bench.main()
        out = capsys.readouterr().out
        assert out.count(bench.RED) == red
        assert ("recorded: 2.70" in out) == red


def test_the_measurements_run(monkeypatch, measured):
    monkeypatch.setattr(bench, "IMAGES", {"resnet18": 128, "shallow": 128, "gan": 64})
    monkeypatch.setattr(bench.train_throughput, "NETWORKS", {"shallow": bench.train_throughput.NETWORKS["shallow"]})
    found = measured["trainings"]()
    assert set(found) == {"fit, shallow at 28 pixels", "fit_gan, DCGAN at 64 pixels"}
    assert all(ratio > 0 and speed > 0 for ratio, speed in found.values())
