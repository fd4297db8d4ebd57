"""The AVX measurement of lesson 01: real child processes, limited as they should be."""

import subprocess
import sys

import pytest
import torch

from medlab.classroom import instruction_sets


def test_measures_every_supported_set_in_a_process_of_its_own():
    speeds = instruction_sets.patches_per_second(seconds=0.05)
    assert list(speeds) == instruction_sets.supported()
    assert all(speed > 0 for speed in speeds.values())


@pytest.mark.skipif(not torch.cpu._is_avx2_supported(), reason="this processor has no AVX2")
def test_the_limit_reaches_the_child(monkeypatch):
    seen, really_run = {}, subprocess.run

    def child(command, env, **options):
        code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
        seen[env["ATEN_CPU_CAPABILITY"]] = really_run([sys.executable, "-c", code], env=env, **options).stdout
        return subprocess.CompletedProcess(command, 0, stdout="1.0", stderr="")

    monkeypatch.setattr(instruction_sets, "supported", lambda: ["no AVX", "AVX2"])
    monkeypatch.setattr(instruction_sets.subprocess, "run", child)
    instruction_sets.patches_per_second()
    assert seen["default"].strip() == "DEFAULT"
    assert seen["avx2"].strip() == "AVX2"


def test_a_failing_child_is_quoted(monkeypatch):
    def child(command, **options):
        return subprocess.CompletedProcess(command, 1, stdout="", stderr="no room left")

    monkeypatch.setattr(instruction_sets.subprocess, "run", child)
    with pytest.raises(RuntimeError, match="measuring no AVX failed: no room left"):
        instruction_sets.patches_per_second()
