"""The code of a submission in a process of its own: it gets the arguments of a check, and gives answers back.

The check itself runs elsewhere, so that nothing that the code patches, reads or ends can reach it. What comes back is
data, never code: JSON, in which arrays and tensors are bytes.
"""

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medlab.classroom.exercises import MISTAKES, Attempt, NotAttempted, Wrong, describe, to_text

LENGTH = 2**26  # characters that an answer may have


class Worker:
    """A process that runs cells of a notebook, and calls their functions. `close` ends it.

    Args:
        folder: its working folder.
        seconds: what a check and the cells before it may take.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.seconds, self.ended = seconds, False
        self.ran: set[int] = set()  # the cells, by position
        self.process = subprocess.Popen(
            # -P: no file of the folder takes the place of a package
            [sys.executable, "-P", "-c", "from medlab.classroom import worker; worker.main()"],
            cwd=folder,
            env=os.environ | {"MPLBACKEND": "agg", "MEDLAB_STRICT": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout
        self.process.stdout.readline()  # it is ready: starting it takes none of the time
        self.restart_clock()

    def restart_clock(self) -> None:
        """The time of the next check begins."""
        self.until = time.monotonic() + self.seconds

    def run(self, number: int, source: str) -> None:
        """Run a cell, once, whether or not it raises; Wrong: the process ended, or took too long."""
        if number not in self.ran:
            self.ask("cell", source)
            self.ran.add(number)

    def ask(self, *request: Any) -> tuple[str, Any]:
        """What the process replies, and of which kind; Wrong: it ended, or took too long."""
        assert self.process.stdin and self.process.stdout
        timer = threading.Timer(max(0.0, self.until - time.monotonic()), self.process.kill)
        timer.start()
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            kind, value = json.loads(self.process.stdout.readline(LENGTH))
            return str(kind), decode(value)
        except Exception:  # whatever the code of the submission has written, or no more process
            self.close()
            text = f"not right yet\n  its code ended the process, or took more than {self.seconds:g} s"
            raise Wrong(text) from None
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process."""
        self.ended = True
        self.process.kill()
        self.process.communicate()


class RemoteAttempt(Attempt):
    """A student's function in a worker's process.

    Args:
        parameter: of the check, which it is given for.
        function: its name in the notebook.
    """

    def __init__(self, worker: Worker, check: str, parameter: str, function: str) -> None:
        super().__init__(parameter, None, MISTAKES[check])
        self.worker, self.place = worker, (check, parameter, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.begin_case(args, kwargs)
        kind, value = self.worker.ask("call", *self.place, self.forbidden, args, kwargs)
        if kind == "not attempted":
            raise NotAttempted(self.name, to_line(value))
        if kind == "wrong":
            raise Wrong("\n".join(map(to_line, str(value).splitlines()[:20])))
        self.answered = True
        return value


def to_line(text: object) -> str:
    """What a terminal may be given of a text that another wrote: one line of what can be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:1000])


def encode(value: Any) -> Any:
    """`value` as JSON can hold it; of what is no answer, its type and how it shows itself."""
    try:
        if isinstance(value, list | tuple):
            return {type(value).__name__: [encode(part) for part in value]}
        if isinstance(value, set | frozenset):
            return {"set": [encode(part) for part in value]}
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        tensor = isinstance(value, Tensor)
        array = value.detach().cpu() if tensor else value
        array = np.ascontiguousarray(array.float() if array.dtype == torch.bfloat16 else array).reshape(value.shape)
        if array.dtype.kind in "biufc":
            data = base64.b64encode(array.tobytes()).decode()
            shape, grad = list(array.shape), tensor and value.requires_grad
            return {"data": data, "dtype": array.dtype.str, "shape": shape, "tensor": tensor, "grad": grad}
    except Exception:  # a value may do anything when it is asked
        pass
    return {"other": [type(value).__name__, to_text(value, describe)]}


def decode(value: Any) -> Any:
    """The value that `encode` made JSON of; one that is no answer is an object of its type's name."""
    if not isinstance(value, dict):
        return value
    if "list" in value or "tuple" in value:
        kind, parts = next(iter(value.items()))
        return (list if kind == "list" else tuple)(decode(part) for part in parts)
    if "set" in value:  # of names and numbers: no other part of an answer can be in one
        return {part for part in value["set"] if isinstance(part, str | int | float)}
    if "other" in value:
        name, text = value["other"]
        return type(name if name.isidentifier() else "object", (), {"__repr__": lambda self: text})()
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in "biufc":
        raise ValueError(f"no array of {dtype}")
    array = np.frombuffer(base64.b64decode(value["data"]), dtype).reshape(value["shape"]).copy()
    return torch.from_numpy(array).requires_grad_(value["grad"]) if value["tensor"] else array


def main() -> None:
    """Answer the requests on standard input until it ends; what the cells print goes nowhere."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def enable_gui(self, gui: str | None = None) -> None:
            pass

    config = Config({"HistoryManager": {"enabled": False}})
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    sys.path.append(os.getcwd())  # files that a student hands in beside the notebook
    shell = Shell.instance(config=config)
    attempts: dict[tuple, Attempt] = {}
    print("ready", file=answers, flush=True)
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        reply: tuple[str, Any] = ("answer", None)
        if request[0] == "cell":
            shell.run_cell(request[1])
        else:
            _, check, attempt, name, forbidden, args, kwargs = request
            if request[1:4] not in attempts:
                function = shell.user_ns.get(name, f"no function {name}")
                attempts[request[1:4]] = Attempt(attempt, function, MISTAKES[check])
            attempts[request[1:4]].forbidden = forbidden
            try:
                reply = "answer", attempts[request[1:4]](*args, **kwargs)
            except NotAttempted as state:
                reply = "not attempted", state.args[1]
            except Wrong as wrong:
                reply = "wrong", str(wrong)
        answers.write(json.dumps([reply[0], encode(reply[1])]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
