"""JupyterHub with the instructor guide's settings and two students: `make hub`, which installs what it needs."""

import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import psutil
import pytest
import requests
from nbformat.v4 import new_code_cell
from project import ROOT

PROXY = shutil.which("configurable-http-proxy", path=ROOT / "build" / "hub" / "node_modules" / ".bin")
PROXY = PROXY or shutil.which("configurable-http-proxy")
pytestmark = pytest.mark.skipif(not (PROXY and find_spec("jupyterhub")), reason="needs JupyterHub: call make hub")

SETTINGS = """
c.JupyterHub.bind_url = "http://127.0.0.1:{0}"
c.JupyterHub.hub_port = {1}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{2}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.start_timeout = c.Spawner.http_timeout = 600
c.SimpleLocalProcessSpawner.home_dir_template = {home!r}
c.Spawner.args = ["--allow-root"]
c.Spawner.environment |= {{"PYTHONPATH": {course!r}}}
c.JupyterHub.services = [{{"name": "test", "api_token": {token!r}}}]
scopes = ["admin:users", "admin:servers", "tokens"]
c.JupyterHub.load_roles = [{{"name": "all", "scopes": scopes, "services": ["test"]}}]
"""


def guide() -> str:
    """The settings that the instructor guide gives."""
    text = (ROOT / "docs" / "instructor-guide.md").read_text(encoding="utf-8")
    return re.search(r"### JupyterHub\n.*?```python\n(.*?)```", text, re.DOTALL)[1]


class Hub:
    """A JupyterHub on this computer, with what the test asks of it."""

    def __init__(self, folder: Path, course: Path) -> None:
        sockets = [socket.socket() for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        self.address, token = f"http://127.0.0.1:{ports[0]}", secrets.token_hex(16)
        self.headers = {"Authorization": f"token {token}"}
        home, folder = str(folder / "{username}"), folder / "hub"
        folder.mkdir()
        settings = SETTINGS.format(*ports, proxy=PROXY, home=home, course=str(course), token=token)
        (folder / "jupyterhub_config.py").write_text(guide() + settings)
        with (folder / "log").open("w") as log:
            command = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.log = folder / "log"

    def ask(self, method: str, path: str, token: str | None = None, **content) -> requests.Response:
        headers = {"Authorization": f"token {token}"} if token else self.headers
        return requests.request(method, self.address + path, headers=headers, json=content or None, timeout=600)

    def wait(self, happened, seconds: float = 900) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if happened():
                    return
            except requests.ConnectionError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.5)

    def start(self, user: str) -> None:
        answer = self.ask("POST", f"/hub/api/users/{user}/server")
        assert answer.status_code in (201, 202), answer.text
        self.wait(lambda: self.ask("GET", f"/hub/api/users/{user}").json()["servers"].get("", {}).get("ready"))

    def stop(self, user: str) -> None:
        self.ask("DELETE", f"/hub/api/users/{user}/server")
        self.wait(lambda: not self.ask("GET", f"/hub/api/users/{user}").json()["servers"])


@pytest.fixture
def course(tmp_path) -> Path:
    for folder in ("medlab", "notebooks", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / "course" / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return tmp_path / "course"


@pytest.fixture
def hub(tmp_path, course):
    hub = Hub(tmp_path, course)
    try:
        hub.wait(lambda: hub.ask("GET", "/hub/api/").ok)
        yield hub
    finally:
        children = psutil.Process(hub.process.pid).children(recursive=True)
        hub.process.terminate()
        for one in psutil.wait_procs(children, timeout=120)[1]:
            one.kill()
        hub.process.wait(timeout=300)


def test_two_students_have_their_own_lessons_and_an_update_keeps_their_answers(hub, course, tmp_path):
    tokens, file = {}, "api/contents/my-lessons/01_shallow_cnn.ipynb"
    for user in ("ann", "bob"):
        assert hub.ask("POST", f"/hub/api/users/{user}").status_code == 201
        hub.start(user)
        tokens[user] = hub.ask("POST", f"/hub/api/users/{user}/tokens", note="test").json()["token"]
    servers = [
        p for p in psutil.process_iter(["cmdline"]) if "jupyterhub-singleuser" in " ".join(p.info["cmdline"] or [])
    ]
    print("a server of a student takes", [round(p.memory_info().rss / 1e6) for p in servers], "MB")

    page = requests.get(f"{hub.address}/user/ann/", params={"token": tokens["ann"]}, allow_redirects=False, timeout=60)
    assert page.headers["location"].startswith("/user/ann/lab/tree/my-lessons/00_start_here.ipynb")
    assert hub.ask("GET", f"/user/ann/{file}", tokens["bob"]).status_code == 403
    notebook = hub.ask("GET", f"/user/ann/{file}", tokens["ann"]).json()["content"]
    exercise = next(cell for cell in notebook["cells"] if "exercise" in cell["metadata"].get("tags", []))
    exercise["source"] = "my_answer = 1"
    saved = hub.ask("PUT", f"/user/ann/{file}", tokens["ann"], type="notebook", content=notebook)
    assert saved.ok, saved.text

    lesson = course / "notebooks" / "01_shallow_cnn.ipynb"
    changed = nbformat.read(lesson, 4)
    changed.cells.append(new_code_cell("new = 2"))
    nbformat.write(changed, lesson)
    for user in ("ann", "bob"):
        hub.stop(user)
        hub.start(user)
        have = [cell.source for cell in nbformat.read(tmp_path / user / "my-lessons" / lesson.name, 4).cells]
        assert have[-1] == "new = 2" and ("my_answer = 1" in have) == (user == "ann")
    assert "01_shallow_cnn.ipynb: 1 new of its cells" in hub.log.read_text()
