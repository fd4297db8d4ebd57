"""Notebooks in a real browser: JupyterLab on this computer, with a student's keys and clicks.

    with open_lab(folder) as lab:
        notebook = lab.open(nb, "name")
        notebook.run_all()
        assert notebook.errors() == [] and not lab.elsewhere

Everything is under `folder`: notebooks, settings, logs. However the tests end, the server ends, and all its kernels.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import psutil
import requests
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, sync_playwright

PLACES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
BROWSER = next((found for place in PLACES if (found := shutil.which(place))), None)
FLAGS = (
    "--no-sandbox",  # root may not start Chromium otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host: nothing waits for an answer
)
# Reads its standard input until the tests close it, be it because they were killed; then ends itself and its group.
SERVER = """
import os, signal, sys, threading
def end_with_the_tests():
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)
threading.Thread(target=end_with_the_tests, daemon=True).start()
from jupyterlab.labapp import main
main()
"""
TOKEN = "of-this-test"
THE_END = "all cells were run"  # printed by a cell that `Lab.open` adds
IDLE = 8.0  # seconds after which a kernel that has nothing to do will not begin
PATIENCE = 60.0  # seconds in which any one thing must have happened; a busy computer may need many


@contextmanager
def open_lab(folder: Path) -> Iterator["Lab"]:
    """JupyterLab on `folder`, and a page of a browser for it."""
    with _server(folder) as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(1000 * PATIENCE)
            yield Lab(folder, address, process, page)
        finally:
            browser.close()


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {name: folder / f".{name}" for name in ("config", "data", "runtime", "settings", "ipython")}
    news = places["settings"] / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')  # else a window asks, over the page's corner
    environment = {f"JUPYTER_{name.upper()}_DIR": str(places[name]) for name in ("config", "data", "runtime")}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(places["settings"]), "IPYTHONDIR": str(places["ipython"])}
    options = ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--no-browser", "--allow-root"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with open(folder / ".server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, *options], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
            env=os.environ | environment, start_new_session=True,
        )  # fmt: skip
    process = psutil.Process(server.pid)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: server.poll() is not None or _answers(address), "the server has not started")
        assert server.poll() is None, (folder / ".server.log").read_text()
        yield address, process
    finally:
        kernels = process.children(recursive=True) if process.is_running() else []
        server.stdin.close()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        left = psutil.wait_procs(kernels, timeout=10)[1]
        for kernel in left:
            kernel.kill()
        assert not left, f"these outlived their server: {left}"


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/api", timeout=5).ok
    except requests.RequestException:
        return False


def wait_until(
    happened: Callable[[], object], complaint: str, page: Page | None = None, seconds: float = PATIENCE
) -> None:
    """Wait for `happened` to be true; `page` goes on meanwhile.

    Raises:
        AssertionError: `complaint`; it did not happen in time.
    """
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"{complaint} after {seconds} s"
        page.wait_for_timeout(100) if page else time.sleep(0.1)


class Lab:
    """JupyterLab in a browser. `elsewhere` has what its page asked of other computers since the last `open`.

    It sees the page's requests alone; what a kernel fetches is not among them.
    """

    def __init__(self, folder: Path, address: str, server: psutil.Process, page: Page) -> None:
        self.folder, self.address, self.server, self.page = folder, address, server, page
        self.elsewhere: set[str] = set()
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda connection: self._asked(connection.url))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.elsewhere.add(url)

    def ask(self, method: str, path: str, content: dict | None = None) -> requests.Response:
        """The server's own answer, past the browser."""
        token = {"Authorization": f"token {TOKEN}"}
        answer = requests.request(method, f"{self.address}/api/{path}", json=content, headers=token, timeout=60)
        answer.raise_for_status()
        return answer

    @contextmanager
    def open(self, nb: nbformat.NotebookNode, name: str) -> Iterator["Notebook"]:
        """Keep `nb` as `name`.ipynb without outputs, and show it with a kernel; a failure leaves `name`.png."""
        nb = deepcopy(nb)
        nb.cells.append(new_code_cell(f"print({THE_END!r})"))
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        file = f"{name}.ipynb"
        nbformat.write(nb, self.folder / file)
        # Where the page finds a session, "Run All Cells" is less often lost than where it makes one.
        about = {"path": file, "name": file, "type": "notebook", "kernel": {"name": "python3"}}
        session = self.ask("POST", "sessions", about).json()
        self.elsewhere.clear()
        try:
            self.page.goto(f"{self.address}/lab/tree/{file}?token={TOKEN}&reset")
            notebook = Notebook(self, file, session["kernel"]["id"])
            notebook.wait_for_kernel()
            yield notebook
        except BaseException as error:
            self.page.screenshot(path=self.folder / f"{name}.png")
            error.add_note(f"the page as it was: {self.folder / name}.png")
            raise
        finally:
            self.ask("DELETE", f"sessions/{session['id']}")


class Notebook:
    """A notebook on the page of a `Lab`."""

    def __init__(self, lab: Lab, file: str, kernel: str) -> None:
        self.lab, self.page, self.file, self.kernel = lab, lab.page, file, kernel

    def kernel_state(self, key: str) -> object:
        """What the server says of the kernel: "execution_state", "connections"."""
        return self.lab.ask("GET", f"kernels/{self.kernel}").json()[key]

    def wait_for_kernel(self) -> None:
        """Wait until the page is connected to a kernel, and shows the mark of one that is ready."""
        wait_until(lambda: self.kernel_state("connections"), "the page has no kernel", self.page)
        self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()

    def choose(self, menu: str, entry: str) -> None:
        """Click an entry of a menu."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def run_all(self, seconds: float = 400) -> None:
        """Run > Run All Cells, until the last cell was run or one has failed.

        JupyterLab sometimes loses the click without a word, mostly on a page that is just opened, or asks for a kernel
        although it has one. So when the kernel has long been idle without an end or an error, it is clicked anew.
        """
        ended = self.page.locator(".jp-OutputArea-output", has_text=THE_END)
        question = self.page.locator(".jp-Dialog .jp-mod-accept")
        if ended.count():
            self.choose("Edit", "Clear Outputs of All Cells")
        limit = time.monotonic() + seconds
        for _ in range(3):
            self.choose("Run", "Run All Cells")
            busy = time.monotonic()
            while (now := time.monotonic()) < busy + IDLE:
                if question.count():
                    question.click()
                if ended.count() or (now > busy + 2 and self.errors()):
                    return
                assert now < limit, f"{self.file} is still running after {seconds} s"
                self.page.wait_for_timeout(250)
                if self.kernel_state("execution_state") != "idle":
                    busy = time.monotonic()
        raise AssertionError(f"{self.file} was not run: Run All Cells was lost three times")

    def kill_kernel(self) -> None:
        """End the process of the kernel at once, and confirm the window that tells of its restart."""
        for process in self.lab.server.children():
            if any(self.kernel in argument for argument in process.cmdline()):
                process.kill()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.wait_for_kernel()

    def errors(self) -> list[str]:
        """The errors in the outputs, read in the saved file: on the page they are hard to tell from other outputs."""
        wait_until(self._saved, f"{self.file} is not saved", self.page)
        cells = self.lab.ask("GET", f"contents/{self.file}?content=1").json()["content"]["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        return [f"{one['ename']}: {one['evalue']}" for one in outputs if one["output_type"] == "error"]

    def _saved(self) -> bool:
        """Press the keys that save; they are lost while the focus is on a field that was just disabled."""
        self.page.keyboard.press("ControlOrMeta+s")
        self.page.wait_for_timeout(300)
        return not self.page.locator(".lm-TabBar-tab.jp-mod-dirty").count()

    def output(self, cell: int) -> Locator:
        """All that the cell with this index shows below its code."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")
