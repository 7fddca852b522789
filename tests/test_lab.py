"""JupyterLab as `make lab` starts it: this repository's kernel, notebooks saved clean, the home folder as it was."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from jupyter_client import BlockingKernelClient

ROOT = Path(__file__).parents[1]
TOKEN = "for-a-test"
NOTEBOOK = ROOT / "nbs" / "00_core/00_basics.ipynb"


class Lab:
    """A running JupyterLab."""

    def __init__(self, port: int, folder: Path, home: Path) -> None:
        self.port, self.folder, self.home = port, folder, home

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        """What the server answers."""
        data = json.dumps(body).encode() if body is not None else None
        request = Request(f"http://127.0.0.1:{self.port}/api/{path}", data, {"Authorization": f"token {TOKEN}"}, method=method)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server, on a free port, for an empty folder and a home that is watched."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    environment = inherited | {"HOME": str(home), "NOTEBOOKS": str(folder)}
    with open(folder.parent / "lab.log", "w") as log:
        command = ["sh", str(ROOT / "tools" / "lab.sh"), *options, f"--IdentityProvider.token={TOKEN}"]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    running = Lab(port, folder, home)
    try:
        for _ in range(240):
            try:
                running.ask("status")
                break
            except (URLError, ConnectionError):
                assert server.poll() is None, (folder.parent / "lab.log").read_text()[-2000:]
                time.sleep(0.5)
        yield running
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def test_the_kernel_is_that_of_this_repository(lab: Lab) -> None:
    assert list(lab.ask("kernelspecs")["kernelspecs"]) == ["python3"]
    started = lab.ask("kernels", "POST", {"name": "python3"})
    client = BlockingKernelClient(connection_file=str(ROOT / ".venv" / "lab" / "runtime" / f"kernel-{started['id']}.json"))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    said: list[str] = []

    def note(message: dict[str, Any]) -> None:
        said.append(message["content"].get("text", ""))

    client.execute_interactive("import sys, arxiv_nbclf; print(sys.prefix)", timeout=60, output_hook=note)
    client.stop_channels()
    lab.ask(f"kernels/{started['id']}", "DELETE")
    assert Path("".join(said).strip()) == Path(sys.prefix) == ROOT / ".venv"


def test_a_notebook_is_saved_clean(lab: Lab) -> None:
    clean = NOTEBOOK.read_bytes()
    content = json.loads(clean)
    for number, cell in enumerate(content["cells"], 1):
        cell["metadata"] = {"collapsed": False, "jupyter": {"source_hidden": True}, "execution": {"iopub.execute_input": "now"}}
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            for shown in cell["outputs"]:
                if shown["output_type"] == "execute_result":
                    shown["execution_count"] = number
    content["metadata"] |= {"language_info": {"name": "python", "version": "3.99"}, "toc": {}}
    lab.ask("contents/saved.ipynb", "PUT", {"type": "notebook", "format": "json", "content": content})
    assert (lab.folder / "saved.ipynb").read_bytes() == clean


def test_lab_opens_and_the_home_folder_is_left_alone(lab: Lab) -> None:
    with urlopen(f"http://127.0.0.1:{lab.port}/lab?token={TOKEN}", timeout=30) as answer:
        page = answer.read().decode()
    assert "JupyterLab" in page and "jupyterlab.github.io" not in page
    assert [path.name for path in lab.home.iterdir()] == []
