"""`fit` in two processes, gloo on the CPU: the losses and weights of one process, also through a kill.

Run by `torchrun` this file is the script that the processes share.
"""

import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toys import network, stripes, weights

from medlab.data.augment import Augment
from medlab.models import SmallCNN, UNet
from medlab.train import fit, fit_gan, fit_scan, fit_synergic, load_checkpoint, seed_everything

CHILDREN = multiprocessing.get_context("forkserver")  # see test_resume.py
CHILDREN.set_forkserver_preload(["medlab.train", "medlab.models"])
LIMIT = 120  # seconds; a start of torchrun takes 10 to 15
AUGMENT = Augment(flip=True, shift=0.2, rotate=10, intensity=0.1)
# 50 images by 16: the last batch has 2; 49 by 16: it has 1, so one process has none; 47 by 15: uneven shares.
CASES = {
    "even": {"data": 48, "batch_size": 16, "augment": AUGMENT},
    "small last batch": {"data": 50, "batch_size": 16, "augment": AUGMENT, "clip": 1.0},
    "one image left": {"data": 49, "batch_size": 16, "optimizer": "sgd", "lr": 0.05},
    "odd shares": {"data": 47, "batch_size": 15, "augment": AUGMENT, "patience": 2},
    "batch normalization": {"data": 47, "batch_size": 15, "model": "SmallCNN", "lr": 1e-4},
    "volumes": {"data": 11, "batch_size": 4, "task": "segmentation", "depth": 4, "optimizer": "sgd", "lr": 0.05},
    "label maps": {"data": 31, "batch_size": 8, "augment": AUGMENT, "task": "segmentation", "lr": 0.02},
}


def train(data=48, batch_size=16, task="multi-class", epochs=4, dropout=0.0, model="ShallowCNN", depth=0, **arguments):
    seed_everything(0)
    if depth:
        model = UNet(1, 2, 2, 2, axes=3)
    elif task == "segmentation":
        model = torch.nn.Conv2d(1, 2, 3, padding=1)
    else:
        model = SmallCNN(width=4) if model == "SmallCNN" else network(dropout=dropout)
    sets = stripes(data, task), stripes(20, task, seed=1)
    if depth:
        sets = [deep(one, depth) for one in sets]
    return model, fit(
        model, *sets, epochs=epochs, batch_size=batch_size, precision="float32", progress=False, **arguments
    )


def deep(data, depth):
    """Volumes of `depth` times the same slice."""
    images, targets = data.images[:, :, None], data.targets[:, None]
    return data.replace(images=images.repeat(1, 1, depth, 1, 1), targets=targets.repeat(1, depth, 1, 1))


def results() -> dict:
    """Weights and losses of every case."""
    outcomes = {}
    for name, case in CASES.items():
        model, history = train(**case)
        outcomes[name] = {"weights": weights(model), "train": history.train_loss, "val": history.val_loss}
    return outcomes


def torchrun(*arguments: object, out: Path) -> str:
    """Run in two processes; what they printed. Ends by force after a time: a deadlock must not hang the tests."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        *"--rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:0 --local-addr=127.0.0.1 --nproc-per-node=2".split(),  # README
        *map(str, arguments),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with out.open("w+") as log:
        group = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        try:
            code = group.wait(LIMIT)
        finally:
            if group.poll() is None:
                os.killpg(group.pid, 9)
        log.seek(0)
        text = log.read()
    assert code == 0, text
    return text


def test_two_processes_train_as_one(tmp_path):
    text = torchrun(__file__, tmp_path, out=tmp_path / "log")
    assert "terminate called" not in text
    alone = results()
    for rank in (0, 1):
        together = torch.load(tmp_path / f"{rank}.pt")
        for name, one in alone.items():
            for key in ("train", "val"):
                assert together[name][key] == pytest.approx(one[key], abs=1e-5), (rank, name, key)
            assert torch.allclose(together[name]["weights"], one["weights"], atol=1e-5, rtol=0), (rank, name)
            assert one["train"][0] - min(one["train"]) > 1e-3, name  # it did learn something to compare


def test_the_command_runs_in_two_processes_and_prints_once(tmp_path):
    file = tmp_path / "run.pt"
    arguments = [
        "ShallowCNN",
        "lung",
        "--epochs",
        1,
        "--lr",
        1e-4,
        "--checkpoint",
        file,
        "--precision",
        "float32",
        "--images",
        900,
    ]
    text = torchrun("-m", "medlab", "train", *arguments, out=tmp_path / "log")
    assert text.count("balanced accuracy") == 1 and text.count("History(1 epochs") == 1
    assert load_checkpoint(file)["settings"]["world_size"] == 2


def child(rank: int, port: int, file: str | None, dies: bool, pipe) -> None:
    """One of two processes as torchrun would start it; `dies`: the leader kills itself before its third save."""
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank)
    )
    if dies and rank == 0:
        saves, replace = [], os.replace

        def dying(*names):
            saves.append(1)
            if len(saves) == 3:
                os.kill(os.getpid(), 9)
            replace(*names)

        os.replace = dying
    model, history = train(50, dropout=0.5, augment=AUGMENT, epochs=5, checkpoint=file, resume=file is not None)
    pipe.send((weights(model).numpy().tobytes(), history.train_loss, history.val_loss))


def pair(file: Path | None, dies: bool = False) -> list:
    """What two processes got, None for one that ended without."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pipes = [CHILDREN.Pipe() for _ in range(2)]
    processes = [
        CHILDREN.Process(target=child, args=(rank, port, file and str(file), dies, pipes[rank][1]), daemon=True)
        for rank in range(2)
    ]
    for process, (_, theirs) in zip(processes, pipes):
        process.start()
        theirs.close()
    try:
        found = []
        for process, (ours, _) in zip(processes, pipes):
            try:
                found.append(ours.recv() if ours.poll(LIMIT) else None)
            except EOFError:
                found.append(None)
            if found == [None]:
                processes[1].kill()  # as torchrun does when one of its processes dies
            process.join(LIMIT)
        if not dies:
            assert [process.exitcode for process in processes] == [0, 0]
        return found
    finally:
        for process in processes:
            process.kill()


def test_a_killed_team_goes_on_as_if_nothing_had_happened(tmp_path):
    straight = pair(None)
    assert straight[0] == straight[1] and straight[0] is not None  # both hold the same weights
    file = tmp_path / "run.pt"
    assert pair(file, dies=True) == [None, None]
    assert len(load_checkpoint(file)["history"]["train_loss"]) == 1
    assert pair(file) == straight


@pytest.mark.parametrize("trainer", [fit_gan, fit_scan, fit_synergic])
def test_trainers_of_several_networks_refuse_to_train_in_several_processes(monkeypatch, trainer):
    monkeypatch.setenv("WORLD_SIZE", "2")
    networks = [torch.nn.Linear(1, 1)] * (1 if trainer is fit_synergic else 2)
    with pytest.raises(RuntimeError, match=f"{trainer.__name__} trains in one process, but torchrun started 2"):
        trainer(*networks, stripes(8), epochs=1)


if __name__ == "__main__":
    torch.save(results(), Path(sys.argv[1]) / f"{os.environ['RANK']}.pt")
