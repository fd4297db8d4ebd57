"""`make bench`: what it prints of ratios that fell; the measurements themselves are tried small."""

import json
import sys

import pytest
from project import ROOT

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

import bench


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """A machine on which `fit` is 2.1 times as fast as the loop of others, and the folder of its record."""
    monkeypatch.setattr(sys, "argv", ["bench.py"])
    monkeypatch.setattr(bench, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(bench, "peaks", lambda: {"matrix product, float32": 200.0, "memory": 20.0})
    monkeypatch.setattr(bench, "trainings", lambda: {"fit": (2.1, 50.0)})
    monkeypatch.setattr(bench, "others", lambda: {"Augment": 30.0})
    return tmp_path / "bench.json"


def recorded(file, fit, cpu, threads):
    values = {"ratios": {"fit": fit, "Augment": 31.0}, "threads": threads}
    file.write_text(json.dumps({"hardware": {"cpu": cpu}, "values": values}))


def test_the_table_names_the_machine_and_the_share_of_its_peak(measured, capsys):
    bench.main()
    lines = capsys.readouterr().out.splitlines()
    assert " threads, " in lines[0]
    assert lines[3].split() == ["fit", "2.10", "times", "25%", "of", "the", "matrix", "product"]
    assert lines[4].split() == ["Augment", "30.00", "times"]


def test_only_a_ratio_that_fell_by_more_than_a_fifth_on_the_same_kind_of_machine_is_red(measured, capsys):
    cpu, threads = bench.Clock("").provenance["hardware"]["cpu"], bench.torch.get_num_threads()
    for kind, on_record, red in ((cpu, 2.7, 1), (cpu, 2.5, 0), ("another", 2.7, 0)):
        recorded(measured, on_record, kind, threads)
        bench.main()
        out = capsys.readouterr().out
        assert out.count(bench.RED) == red
        assert ("recorded: 2.70" in out) == red


def test_the_measurements_run(monkeypatch):
    monkeypatch.setattr(bench, "IMAGES", {"resnet18": 128, "shallow": 128, "gan": 64})
    monkeypatch.setattr(bench.train_throughput, "NETWORKS", {"shallow": bench.train_throughput.NETWORKS["shallow"]})
    found = bench.trainings()
    assert set(found) == {"fit, shallow at 28 pixels", "fit_gan, DCGAN at 64 pixels"}
    assert all(ratio > 0 and speed > 0 for ratio, speed in found.values())
