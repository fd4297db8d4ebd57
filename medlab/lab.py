"""JupyterLab on the course: a server that only this computer can reach, opened on the student's copy of the lessons."""

import os
import re
import secrets
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from medlab.classroom import lock_of, update_lessons
from medlab.runs.parameters import lessons_folder
from medlab.storage import only_writer

COPIES = "my-lessons"  # beside the course's own; git ignores it
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"  # asks about news, and other computers for updates


def copies_folder() -> Path:
    """Return the folder of the student's copies: `my-lessons/`, beside the course's own `notebooks/`."""
    return lessons_folder().with_name(COPIES)


def open_lab(browser: bool = True, port: int | None = None, options: Sequence[str] = ()) -> None:
    """Run JupyterLab on the course until it is stopped (Ctrl-C, or a signal), and print its address in one line.

    Before, the student's copies of the lessons are made, or brought up to date; what that did is printed. The server
    runs in this process, so whatever stops the process stops the server and its kernels.

    Args:
        browser: open the first lesson in a browser.
        port: TCP port; by default 8888, or the next free one.
        options: further ones of Jupyter, such as ``--MappingKernelManager.cull_idle_timeout=1800``.

    Raises:
        FileNotFoundError: there are no lessons, so this is not the folder of the course.
        ValueError: an option is not one of Jupyter's.
        OSError: the copies cannot be written.
    """
    if wrong := [option for option in options if not re.match(r"--[A-Z]\w+\.\w+=", option)]:
        raise ValueError(
            f"unknown option {wrong[0]!r}; one of Jupyter's is written --Name.option=value, without spaces."
        )
    with ExitStack() as until_the_end:
        try:
            for line in update_lessons(lessons_folder(), copies_folder()):
                print(line, flush=True)
            until_the_end.enter_context(only_writer(lock_of(copies_folder())))
        except BlockingIOError:  # they are brought up to date when no notebook is open
            print("another lab is open: lessons are brought up to date when it has ended", flush=True)
        _serve(browser, port, options)


def _serve(browser: bool, port: int | None, options: Sequence[str]) -> None:
    copies, token = copies_folder(), secrets.token_hex(16)
    folder, first = copies.parent, min(copies.glob("[0-9][0-9]_*.ipynb"))
    page = f"lab/tree/{first.relative_to(folder).as_posix()}"
    # Terminals and `!medlab` in a cell find the commands of the course, also where .venv is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

    from jupyterlab.labapp import LabApp

    server = LabApp.initialize_server(
        argv=[
            *options,
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.default_url=/{page}",
            f"--ServerApp.open_browser={browser}",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.allow_root={hasattr(os, 'geteuid') and os.geteuid() == 0}",
            *([] if port is None else [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]),
            "--Application.log_level=WARN",
        ]
    )
    server.web_app.settings["page_config_hook"] = _without_announcements
    address = f"http://127.0.0.1:{server.port}{server.base_url}{page}?token={token}"
    print(f"JupyterLab: {address} (Ctrl-C stops it)", flush=True)
    server.start()


def _without_announcements(handler: object, page: dict[str, Any]) -> dict[str, Any]:
    return page | {"disabledExtensions": [*page["disabledExtensions"], ANNOUNCEMENTS]}
