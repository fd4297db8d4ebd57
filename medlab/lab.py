"""The course in JupyterLab: a server on this computer alone, opened on the first lesson."""

import os
import secrets
import sys
from pathlib import Path

from medlab import runs


def open_lab(browser: bool = True, port: int | None = None) -> None:
    """Run JupyterLab on the course until it is ended (Ctrl-C, or a signal); its address is printed in one line.

    The server runs in this very process, so whatever ends the process ends the server and its kernels.

    Args:
        browser: open the first lesson in a browser.
        port: the port to use; by default 8888, or the next free one.

    Raises:
        FileNotFoundError: the first lesson is not there: this is not the course's folder.
    """
    first = runs.find_notebook("00")
    folder, token = first.parents[1], secrets.token_hex(16)
    page = f"lab/tree/{first.relative_to(folder).as_posix()}"
    # Terminals and `!medlab` in a cell find the course's own commands, also where .venv is not activated.
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
    address = f"http://127.0.0.1:{server.port}{server.base_url}{page}?token={token}"
    print(f"JupyterLab: {address} (Ctrl-C ends it)", flush=True)
    server.start()
