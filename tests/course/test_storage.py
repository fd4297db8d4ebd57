"""Files of results: whole or as they were, one writer at a time, and a message that says what a full disk lacks."""

import errno
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from small_disk import small_disk

from medlab.storage import is_held, only_writer, write_file, write_files

HOLD = """
import sys, time
from medlab.storage import only_writer
with only_writer(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def hold(path):
    """Start a process that is the only writer of `path` until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_writer_is_told_who_was_first_and_a_dead_one_holds_nothing(tmp_path):
    path = tmp_path / "run.pt"
    (tmp_path / ".run.pt.abc123.part").write_text("left by a killed writer")
    (tmp_path / ".other.pt.abc123.part").write_text("of another file")
    process = hold(path)
    try:
        assert is_held(path) and not is_held(tmp_path / "other.pt")
        with pytest.raises(
            BlockingIOError, match=rf"run\.pt is being written by process {process.pid} on .* since 20\d\d-"
        ):
            with only_writer(path):
                raise AssertionError("two writers")
        assert is_held(path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert not is_held(path)
    with only_writer(path):
        assert is_held(path)
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"), only_writer(path):
            pass
    assert not is_held(path)
    assert [each.name for each in tmp_path.iterdir()] == [".other.pt.abc123.part"]


def test_an_error_frees_the_lock(tmp_path):
    with pytest.raises(KeyboardInterrupt), only_writer(tmp_path / "a"):
        raise KeyboardInterrupt
    assert not is_held(tmp_path / "a") and not list(tmp_path.iterdir())


def test_writers_at_once_do_not_mix_their_bytes(tmp_path):
    """Without a lock, too: each has a temporary file of its own."""
    contents = [str(number) * 200_000 for number in range(8)]
    writers = [threading.Thread(target=write_file, args=(tmp_path / "a", content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "a").read_text() in contents and [each.name for each in tmp_path.iterdir()] == ["a"]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_full_disk_names_the_file_and_the_bytes_and_keeps_what_was_there(tmp_path, monkeypatch, where):
    write_file(tmp_path / "a", "old")
    write_file(tmp_path / "b", "old")
    monkeypatch.setattr(where, full)
    message = r"could not write .*a: No space left on device; .* \(it needs 5 bytes, [\d,]+ are free\)"
    with pytest.raises(OSError, match=message):
        write_files({tmp_path / "a": lambda file: file.write(b"12345"), tmp_path / "b": lambda file: file.write(b"1")})
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_files_that_belong_together_stay_together(tmp_path):
    write_file(tmp_path / "a", "old")

    def fail(file):
        file.write(b"half")
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with pytest.raises(OSError, match=re.escape(f"could not write {tmp_path / 'b'}: Disk quota exceeded")):
        write_files({tmp_path / "a": lambda file: file.write(b"new"), tmp_path / "b": fail})
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a": "old"}


def test_a_disk_that_is_really_full(tmp_path):
    """On a tmpfs of 64 kB, where this process may mount one: whatever the course writes is as it was before."""
    with small_disk(tmp_path) as writers:
        if writers is None:
            pytest.skip("no tmpfs can be mounted here")
        for write in writers(100).values():
            write()
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        for name, write in writers(80_000).items():
            with pytest.raises(
                OSError, match=rf"{name}.* needs [789]\d,\d{{3}} bytes, [2-6]\d,\d{{3}} (bytes )?are free"
            ):
                write()
            assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before, name
