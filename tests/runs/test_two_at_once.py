"""Two writers, dead ones, clocks that jump, cells without end: what a run says of itself stays true."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import dask
import pytest
from distributed import LocalCluster
from notebook_files import write
from papermill.iorw import papermill_io

from medlab.runs import read_run, run, sweep
from medlab.runs.executing import _written_at_once
from medlab.runs.records import grow_record
from medlab.runs.state import STATUS, write_json
from medlab.storage import is_held, only_writer


def running(folder, **changes):
    """The record of a run in this process."""
    status = {"state": "running", "pid": os.getpid(), "host": socket.gethostname(), "parameters": {}} | changes
    folder.mkdir(exist_ok=True)
    write_json(folder / STATUS, status)


def test_the_lock_says_whether_a_run_lives_and_no_clock(tmp_path, monkeypatch):
    running(tmp_path / "out", process_started=time.time())  # the number of a process that lives, and its start
    assert read_run(tmp_path / "out").state == "killed"
    with only_writer(tmp_path / "out" / STATUS):
        now = time.time()
        for jump in (-1e6, 1e6):
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            running(tmp_path / "out", process_started=0.0)
            assert read_run(tmp_path / "out").state == "running"
    running(tmp_path / "out", host="another computer")
    assert read_run(tmp_path / "out").state == "running"


def test_the_second_of_two_runs_is_told_of_the_first(tmp_path):
    path, out = write(tmp_path / "nb.ipynb"), tmp_path / "out"
    out.mkdir()
    with only_writer(out / STATUS):
        with pytest.raises(BlockingIOError, match=f"status.json is being written by process {os.getpid()} on .* since"):
            run(path, out=out)
        running(out)
        with pytest.raises(FileExistsError, match=rf"holds a run that is running \(process {os.getpid()} on .* since"):
            run(path, out=out)
        assert read_run(out).state == "running"


def test_the_second_of_two_sweeps_and_records_is_told_of_the_first(tmp_path, monkeypatch):
    plan = {"notebook": str(write(tmp_path / "nb.ipynb")), "seeds": [0]}
    with only_writer(tmp_path / "out" / "sweep"), pytest.raises(BlockingIOError, match="being written by process"):
        sweep(plan, out=tmp_path / "out")
    monkeypatch.setattr("medlab.runs.records.results_folder", lambda: tmp_path)
    (tmp_path / "nb.yaml").write_text(json.dumps(plan))
    with only_writer(tmp_path / "nb.json"), pytest.raises(BlockingIOError, match="nb.json is being written by process"):
        grow_record("nb")


def test_a_full_disk_leaves_the_executed_notebook_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / "executed.ipynb"
    papermill_io.write("before", _written_at_once() + str(target))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"could not write .*executed.ipynb: No space left.*it needs 5 bytes"):
        papermill_io.write("after", _written_at_once() + str(target))
    assert target.read_text() == "before" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:8786", "host:8786", "ws://host:1"])
def test_a_scheduler_without_a_door_is_refused(tmp_path, scheduler):
    with pytest.raises(ValueError, match="takes code from anybody who reaches it; start it with certificates"):
        sweep({"notebook": str(write(tmp_path / "nb.ipynb")), "seeds": [0]}, scheduler, tmp_path / "out")


LISTENING = """
import os
import psutil
from medlab.runs import record

family = [psutil.Process(os.getppid()), *psutil.Process(os.getppid()).parents()]
ours = [one for one in family if one.pid in (os.getppid(), mine)]
sockets = [each for one in ours for each in one.net_connections("all")]
record(listening=[str(each.laddr) for each in sockets if each.status == "LISTEN"], n=len(ours))
"""


def test_a_sweep_opens_no_socket_and_stops_a_cell_without_end(tmp_path):
    path = write(
        tmp_path / "nb.ipynb",
        LISTENING,
        "import time\ntime.sleep(wait)",
        params="seed: int = 0\nwait: int = 0\nmine: int = 0",
    )
    plan = {"notebook": str(path), "parameters": {"mine": os.getpid()}, "grid": {"wait": [600]}}
    [stuck] = sweep(plan, out=tmp_path / "out", timeout=2)
    assert stuck.state == "failed" and "CellTimeoutError" in stuck.error and stuck.details["line"] == "time.sleep(wait)"
    assert stuck.values == {"listening": [], "n": 2}
    assert not is_held(stuck.folder / STATUS)  # so that a second sweep repeats it


def test_the_runs_of_a_killed_sweep_end_and_can_be_repeated(tmp_path):
    path = write(tmp_path / "nb.ipynb", "import time\ntime.sleep(600)", params="seed: int = 0")
    plan, out = tmp_path / "plan.yaml", tmp_path / "out"
    plan.write_text(json.dumps({"notebook": str(path), "seeds": [0]}))
    command = [sys.executable, "-m", "medlab", "sweep", plan, "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (found := [*out.glob(f"*/{STATUS}")]) and read_run(found[0].parent).state == "running")
    [status] = out.glob(f"*/{STATUS}")
    wait_for(lambda: (status.parent / "executed.ipynb").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not is_held(status))
    result = read_run(status.parent)
    assert result.state in ("failed", "killed") and result.error
    assert not is_held(out / "sweep")


def wait_for(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_a_cluster_with_certificates_takes_those_who_have_one(tmp_path):
    """The commands of the instructor guide: one certificate of the course's own, for all roles."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")

    def certificate(name):
        key, cert = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        make = "openssl req -x509 -newkey rsa:3072 -nodes -days 90 -subj /CN=medlab -keyout".split()
        subprocess.run([*make, key, "-out", cert], check=True, capture_output=True)
        one = {"cert": str(cert), "key": str(key)}
        roles = {f"distributed.comm.tls.{role}": one for role in ("scheduler", "worker", "client")}
        return roles | {"distributed.comm.tls.ca-file": str(cert), "distributed.comm.require-encryption": True}

    known = certificate("class")
    plan = {"notebook": str(write(tmp_path / "nb.ipynb", "1 / seed")), "seeds": [1]}
    with dask.config.set(known):
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tls://",
            host="127.0.0.1",
            dashboard_address=None,
        )
    with cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises(ValueError, match="asks for a certificate: say where it is"):
            sweep(plan, address, tmp_path / "stranger")
        other = certificate("other") | {"distributed.comm.timeouts.connect": "2s"}
        with dask.config.set(other), pytest.raises(OSError):
            sweep(plan, address, tmp_path / "stranger")
        with dask.config.set(known):
            [result] = sweep(plan, address, tmp_path / "out")
        assert result.ok
