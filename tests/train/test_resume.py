"""Checkpoints: a killed run goes on as if nothing had happened, and a file that cannot be used is refused."""

import errno
import io
import multiprocessing
import os
import pickle
import random
import re
import resource
import signal
import time
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from toys import network, stripes, weights

from medlab.data.augment import Augment
from medlab.models import DCDiscriminator, DCGenerator, SynergicNetwork
from medlab.storage import only_writer
from medlab.train import (
    CheckpointError,
    checkpoint,
    fit,
    fit_gan,
    fit_synergic,
    load_checkpoint,
    save_checkpoint,
    state,
)
from medlab.train.recipe import named

# A server that has imported PyTorch once and forks for every child: a child starts in no time.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["medlab.train", "medlab.models"])


def swapped(data, image=None, targets=False):
    """The set with a pixel of one image changed, or with the targets of the first and the last image exchanged."""
    images, labels = data.images.clone(), data.targets.clone()
    if image is not None:
        images[image, 0, 0, 0] = 1 - images[image, 0, 0, 0]
    if targets:
        labels[0], labels[-1] = 1 - labels[0], 1 - labels[-1]
    return data.replace(images=images, targets=labels)


CASES = {
    "adamw": {"augment": Augment(flip=True, shift=0.1, intensity=0.1), "clip": 1.0, "epochs": 10},
    "sgd": {"optimizer": "sgd", "lr": 0.3, "schedule": "constant", "patience": 4, "epochs": 10},
    "synergic": {"augment": Augment(flip=True), "lr": 0.1, "patience": 4, "epochs": 10},
    "gan": {"ema": 0.9, "steps_per_epoch": 16, "epochs": 10},
    "wgan": {"loss": "wgan", "steps_per_epoch": 4, "epochs": 10},
}


def backbone(features: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, features), nn.Dropout(0.5))


def fresh(case, seed=0):
    torch.manual_seed(seed)
    if case in ("gan", "wgan"):
        players = DCGenerator(8, width=8, latent=4), DCDiscriminator(8, width=4)
        return nn.ModuleDict(dict(zip(("generator", "discriminator"), players)))
    if case != "synergic":
        return network(seed)
    return SynergicNetwork(3, classes=2, features=16, backbone=backbone)


def train(file=None, resume=True, case="adamw", model=None, **changes):
    model = fresh(case) if model is None else model
    data, val = stripes(64), stripes(32, seed=1)
    arguments = {"batch_size": 4, "checkpoint": file, "resume": resume and file is not None, "progress": False}
    arguments |= CASES[case] | changes
    if isinstance(model, nn.ModuleDict):
        return model, fit_gan(model["generator"], model["discriminator"], data, **arguments)
    return model, (fit_synergic if case == "synergic" else fit)(model, data, val, **arguments)


def outcome(model, history):
    """All that must be equal; times may differ."""
    record = history.to_dict()
    return weights(model).numpy().tobytes(), {
        key: record[key] for key in record if key not in ("seconds", "images_per_second")
    }


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def child(file: str, case: str, point: str | None, pipe) -> None:
    """Train with a checkpoint; at the third save, die at `point`."""
    torch.set_num_threads(1)
    saves, write, replace = [], torch.save, os.replace

    def dying_save(state, target):
        saves.append(1)
        if len(saves) < 3:
            return write(state, target)
        if point == "before the write":
            die()
        whole = io.BytesIO()
        write(state, whole)
        target.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        target.flush()
        die()

    def dying_replace(*names):
        if len(saves) == 3 and point == "before the renaming":
            die()
        replace(*names)
        if len(saves) == 3:
            die()

    if point in ("before the write", "in the write"):
        torch.save = dying_save
    elif point is not None:
        torch.save = lambda state, target: (saves.append(1), write(state, target))
        os.replace = dying_replace
    pipe.send("ready")
    start = time.perf_counter()
    model, history = train(file, case=case)
    pipe.send((outcome(model, history), time.perf_counter() - start))


def run(file, case, point=None, patience=None):
    """A child's result, or None if it was killed: at `point`, or after `patience` seconds."""
    ours, theirs = CHILDREN.Pipe()
    process = CHILDREN.Process(target=child, args=(str(file), case, point, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(60) and ours.recv() == "ready"
        if ours.poll(60 if patience is None else patience):
            return ours.recv()
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
    assert patience is not None, "the child hangs"
    return None


@pytest.mark.parametrize("case", CASES)
def test_kills_at_random_moments_change_nothing(tmp_path, case):
    straight, seconds = run(tmp_path / "straight.pt", case)
    seed = int.from_bytes(os.urandom(4), "big")
    print("random moments from seed", seed)  # pytest shows it when the test fails
    moments, kills, file = random.Random(seed), 0, tmp_path / "killed.pt"
    for _ in range(5):
        killed = run(file, case, patience=moments.uniform(0, 0.4 * seconds)) is None
        kills += killed
        if file.exists():
            load_checkpoint(file)  # whole at any moment
    assert kills >= 2
    assert run(file, case)[0] == straight


@pytest.mark.parametrize("point", ["before the write", "in the write", "before the renaming", "after the renaming"])
def test_a_kill_while_saving_changes_nothing(tmp_path, point):
    file = tmp_path / "killed.pt"
    assert run(file, "adamw", point) is None
    assert len(load_checkpoint(file)["history"]["train_loss"]) == (2 if point == "after the renaming" else 1)
    assert run(file, "adamw")[0] == outcome(*train())
    assert [path.name for path in tmp_path.iterdir()] == ["killed.pt"]  # what the kill left was cleared up


@pytest.mark.parametrize("case", ["sgd", "synergic"])
def test_early_stopping_survives_a_resume(tmp_path, case):
    straight = train(case=case)
    assert straight[1].stopped_early and straight[1].best_epoch < len(straight[1])  # the case is what it should be
    file = tmp_path / "run.pt"

    def stop_after(state, path, after):
        save_checkpoint(path, state)
        if len(state["history"]["train_loss"]) == after:
            raise KeyboardInterrupt

    for after in (straight[1].best_epoch, straight[1].best_epoch + 1):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(state, "save_checkpoint", lambda path, state, a=after: stop_after(state, path, a))
            train(file, case=case)
    assert outcome(*train(file, case=case)) == outcome(*straight)


@pytest.mark.parametrize("case", CASES)
def test_a_finished_run_trains_nothing_more(tmp_path, case):
    file = tmp_path / "run.pt"
    model, history = train(file, case=case)
    before = file.read_bytes()
    other = fresh(case, seed=5)
    forwards = []
    for player in other.values() if isinstance(other, nn.ModuleDict) else [other]:
        player.register_forward_hook(lambda m, x, y: forwards.append(m.training))
    assert train(file, case=case, model=other)[1] == history
    assert torch.equal(weights(other), weights(model)) and True not in forwards and file.read_bytes() == before


@pytest.mark.parametrize("case", ["adamw", "sgd", "synergic"])
def test_the_model_in_a_checkpoint_is_the_network_that_is_returned(tmp_path, case):
    model, history = train(tmp_path / "run.pt", resume=False, case=case, lr=0.3)
    kept = load_checkpoint(tmp_path / "run.pt")
    assert (kept["last"] is None) == (case == "adamw")  # without patience there is no other
    if case != "adamw":
        assert history.best_epoch < len(history)
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept["model"][name]), name


def test_without_resume_training_starts_anew(tmp_path):
    file = tmp_path / "sub" / "run.pt"  # the folder is made
    first = outcome(*train(file, epochs=2))
    before = file.read_bytes()
    message = (
        r"run.pt holds a training of 2 epochs \(train loss 0\.\d{4}, val loss 0\.\d{4}, written 20\d\d-.*resume=True"
    )
    with pytest.raises(FileExistsError, match=message):
        train(file, resume=False, epochs=2)
    assert file.read_bytes() == before  # not lost by forgetting a flag
    assert outcome(*train(file, resume=False, overwrite=True, epochs=2)) == first
    assert outcome(*train(file, resume=False, overwrite=True, epochs=2, seed=1)) != first


def test_a_second_training_waits_for_no_checkpoint_of_the_first(tmp_path):
    file = tmp_path / "run.pt"
    with only_writer(file), pytest.raises(BlockingIOError, match=f"run.pt is being written by process {os.getpid()}"):
        train(file, epochs=1)
    assert not file.exists()
    model, _ = train(file, epochs=1)
    assert torch.equal(weights(model), weights(train(epochs=1)[0]))


@pytest.mark.parametrize("changes", [{"resume": False}, {"resume": False, "overwrite": True}, {}])
def test_what_is_no_checkpoint_is_never_overwritten(tmp_path, changes):
    file, picture = tmp_path / "run.pt", tmp_path / "a.png"
    for content in (b"", b"\x89PNG\r\n\x1a\n", b'{"cells": []}'):
        picture.write_bytes(content)
        with pytest.raises(CheckpointError, match="a.png is not a whole checkpoint of plain tensors"):
            train(picture, epochs=1, **changes)
        assert picture.read_bytes() == content
    with zipfile.ZipFile(picture, "w") as archive:
        archive.writestr("word/document.xml", "text")
    with pytest.raises(CheckpointError, match="a.png is not a whole checkpoint"):
        save_checkpoint(picture, {"a": torch.ones(1)})
    file.symlink_to(tmp_path / "else.pt")
    for there in (False, True):
        if there:
            train(tmp_path / "else.pt", epochs=1)
        with pytest.raises(
            CheckpointError, match="run.pt is a link to .*else.pt; give the path of the checkpoint itself"
        ):
            train(file, epochs=1, **changes)
    assert file.is_symlink()


# --- files that are refused ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "run.pt"
    train(file, epochs=1)
    return file.read_bytes()


def test_a_truncated_checkpoint_is_refused_wherever_it_ends(tmp_path, whole):
    file = tmp_path / "run.pt"
    for end in [0, 1, 100, *range(1000, len(whole), len(whole) // 40), len(whole) - 1]:
        file.write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match="run.pt is not a whole checkpoint of plain tensors; it may be trunc"):
            train(file, epochs=1)
        assert file.stat().st_size == end  # kept for the user to look at


def test_random_bytes_are_refused(tmp_path, whole):
    seed = int.from_bytes(os.urandom(4), "big")
    print("random bytes from seed", seed)
    rng, file = random.Random(seed), tmp_path / "run.pt"
    for attempt in range(40):
        noise = rng.randbytes(rng.randrange(1, 5000))
        file.write_bytes(noise if attempt % 2 else noise + whole[-200:])  # the second ends like a zip file
        with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
            load_checkpoint(file)


class Bomb:
    """A pickle that, where it is believed, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    trace, file = tmp_path / "ran", tmp_path / "run.pt"
    writers = {
        "pickle": lambda: file.write_bytes(pickle.dumps(Bomb(trace))),
        "torch": lambda: torch.save({"format": checkpoint.FORMAT, "model": Bomb(trace)}, file),
        "old torch": lambda: torch.save(Bomb(trace), file, _use_new_zipfile_serialization=False),
    }
    for name, write in writers.items():
        write()
        with pytest.raises(CheckpointError, match="is not a whole checkpoint of plain tensors"):
            load_checkpoint(file)
        assert not trace.exists(), name
    writers["torch"]()
    torch.load(file, weights_only=False)
    assert trace.exists()  # the bomb is a live one


def test_foreign_files_are_refused(tmp_path):
    file = tmp_path / "run.pt"
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*run.pt"):
        load_checkpoint(file)
    for content in (network().state_dict(), [1, 2], {"format": "other 1"}):
        torch.save(content, file)
        with pytest.raises(CheckpointError, match="was not written by medlab's training; expected format 'medlab chec"):
            train(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        train(file)
    file.unlink()
    save_checkpoint(file, {"generator": {}})
    with pytest.raises(CheckpointError, match="does not hold the training of one network by fit"):
        train(file)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    file = tmp_path / "run.pt"
    train(file, epochs=1)
    before = file.read_bytes()
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    message = (
        r"run.pt was made by another model: ShallowCNN with 1.bias None, but this Flatten \+ Linear has 1.bias \(2,\)"
    )
    with pytest.raises(CheckpointError, match=message):
        train(file, epochs=1, model=other)
    wider = network()
    wider.classifier[1] = nn.Linear(16, 50)
    wider.classifier[4] = nn.Linear(50, 50)
    with pytest.raises(
        CheckpointError, match=r"ShallowCNN with classifier.1.bias \(100,\), but .* \(50,\); build the sa"
    ):
        train(file, epochs=1, model=wider)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": swapped(stripes(64), -1)}, "data='stripes (64, 1, 8, 8) #"),
        ({"data": swapped(stripes(64), targets=True)}, "data='stripes (64, 1, 8, 8) #"),
        ({"val": swapped(stripes(32, seed=1), -1)}, ", 32 for validation' there, 'stripes"),
        ({"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))}, "loss='None' there, 'CrossEntropyLoss() #"),
        (
            {"loss": lambda outputs, targets: 2 * nn.functional.cross_entropy(outputs, targets)},
            "loss='None' there, '<fun",
        ),
        ({"lr": 0.1}, "lr=0.001 there, 0.1 here; use those, or start anew"),
        ({"epochs": 5}, "epochs=1 there, 5 here"),
        (
            {"augment": None},
            "augment='Augment(flip=True, shift=0.1, rotate=0.0, scale=0.0, intensity=0.1)' there, 'None' ",
        ),
        ({"seed": 1, "optimizer": "sgd"}, "optimizer='adamw' there, 'sgd' here; seed=0 there, 1 here"),
        ({"precision": "bfloat16"}, "precision='float32' there, 'bfloat16' here"),
        ({"data": stripes(64, seed=2)}, "data='stripes (64, 1, 8, 8) #"),
        ({"val": stripes(40)}, ", 32 for validation' there, 'stripes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_refused(tmp_path, change, message):
    file = tmp_path / "run.pt"
    arguments = {**CASES["adamw"], "epochs": 1, "batch_size": 4, "progress": False, "precision": "float32"}
    sets = {"data": stripes(64), "val": stripes(32, seed=1)}
    fit(network(), *sets.values(), checkpoint=file, **arguments)
    sets |= {key: change[key] for key in change if key in sets}
    arguments |= {key: change[key] for key in change if key not in sets}
    model = network(seed=7)
    with pytest.raises(CheckpointError, match="was trained with other settings: .*" + re.escape(message)):
        fit(model, *sets.values(), checkpoint=file, resume=True, **arguments)
    assert torch.equal(weights(model), weights(network(seed=7)))


# --- writes that fail ------------------------------------------------------------------------------------------------


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_loss_of_ones_own_is_known_again_and_told_from_another(tmp_path):
    def make(factor, shift=0):
        calls = []

        def loss(outputs, targets):
            calls.append(1)
            return factor * nn.functional.cross_entropy(outputs, targets) + shift

        return loss

    assert named(make(2)) == named(make(2)) and named(make(2)) != named(make(3))
    assert named(nn.CrossEntropyLoss(weight=torch.ones(2))) != named(nn.CrossEntropyLoss(weight=torch.zeros(2)))
    assert named(lambda a: a + 1) != named(lambda a: a + 2) and named(None) == "None"
    used = make(2)
    before = named(used)
    train(tmp_path / "run.pt", epochs=1, loss=used)
    assert named(used) == before


@pytest.mark.parametrize("where", ["os.replace", "os.fsync", "torch.save"])
def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, where):
    file = tmp_path / "run.pt"
    save_checkpoint(file, {"a": torch.ones(3)})
    monkeypatch.setattr(where, no_space)
    with pytest.raises(OSError, match=r"could not write .*run.pt: .*No space left on device; free some spa"):
        save_checkpoint(file, {"a": torch.zeros(3)})
    assert torch.equal(load_checkpoint(file)["a"], torch.ones(3)) and [*tmp_path.iterdir()] == [file]


def test_a_write_that_breaks_off_leaves_the_old_file_whole(tmp_path):
    """A real failing write: the system refuses files of more than 100 kB."""
    file = tmp_path / "run.pt"
    save_checkpoint(file, {"a": torch.ones(3)})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(OSError, match="could not write .*; free some space or give another path"):
            save_checkpoint(file, {"a": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert torch.equal(load_checkpoint(file)["a"], torch.ones(3)) and [*tmp_path.iterdir()] == [file]


def test_a_folder_that_cannot_be_written_fails_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way")  # refused to root as well
    model = network()
    with pytest.raises(OSError, match="could not write .*file/run.pt: .*File exists"):
        train(tmp_path / "file" / "run.pt", model=model)
    assert torch.equal(weights(model), weights(network()))
    folder = tmp_path / "folder.pt"
    folder.mkdir()
    with pytest.raises(OSError, match="could not write .*folder.pt: .*Is a directory"):
        train(folder)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["file", "folder.pt"]


def test_numpy_numbers_do_not_spoil_the_checkpoint(tmp_path):
    import numpy as np

    changes = {"lr": np.float64(1e-3), "epochs": np.int64(1), "seed": np.int64(0)}
    train(tmp_path / "run.pt", **changes)
    assert len(train(tmp_path / "run.pt", **changes)[1]) == 1
