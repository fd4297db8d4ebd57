"""JupyterLab on the course: a server that only this computer can reach, opened on the first lesson."""

import os
import secrets
import sys
from pathlib import Path
from typing import Any

from medlab import runs

ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"  # asks about news, and other computers for updates


def open_lab(browser: bool = True, port: int | None = None) -> None:
    """Run JupyterLab on the course until it is stopped (Ctrl-C, or a signal), and print its address in one line.

    The server runs in this process, so whatever stops the process stops the server and its kernels.

    Args:
        browser: open the first lesson in a browser.
        port: TCP port; by default 8888, or the next free one.

    Raises:
        FileNotFoundError: the first lesson is not there, so this is not the folder of the course.
    """
    first = runs.find_notebook("00")
    folder, token = first.parents[1], secrets.token_hex(16)
    page = f"lab/tree/{first.relative_to(folder).as_posix()}"
    # Terminals and `!medlab` in a cell find the commands of the course, also where .venv is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

    from jupyterlab.labapp import LabApp

    server = LabApp.initialize_server(
        argv=[
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
