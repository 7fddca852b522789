"""A server under load, under attack, and under the hand of somebody who stops it."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from playwright.sync_api import Browser, expect, sync_playwright
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)
from tiny_models import tiny_encoder

from arxiv_nbclf import sample
from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.taxonomy import group_of
from arxiv_nbclf.deployment.prediction import load_packaged, predict_table
from arxiv_nbclf.deployment.server import ServerSettings, Service, bind, page

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LOAD_SECONDS = 8 if os.environ.get("CI") else 4
PROGRAM = "import sys; from arxiv_nbclf.deployment.server import ServerSettings, serve; serve(ServerSettings({}), port=int(sys.argv[1]), workers={})"
JSON = {"content-type": "application/json"}


def free_port() -> int:
    """A port that nobody has."""
    with bind("127.0.0.1", 0) as taken:
        return int(taken.getsockname()[1])


def ask(port: int, path: str, body: Any = None, seconds: float = 30) -> tuple[int, Any]:
    """Status and content of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, content, {} if body is None else JSON)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in answer.headers["content-type"] else text.decode()
    finally:
        connection.close()


def start(port: int, options: str = "", workers: int = 1) -> subprocess.Popen[str]:
    """A server in a process of its own, which answers."""
    words = [sys.executable, "-c", PROGRAM.format(options, workers), str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    for _ in range(1200):
        with suppress(OSError):
            assert ask(port, "/health")[0] == 200
            return process
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[1])


@contextmanager
def running(options: str = "", workers: int = 1) -> Iterator[int]:
    """The port of a server that is stopped afterwards, and has logged no error."""
    port = free_port()
    process = start(port, options, workers)
    try:
        yield port
    finally:
        process.terminate()
        logged = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "Traceback" not in logged, logged


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a server with the packaged model."""
    with running() as port:
        yield port


@pytest.fixture(scope="module")
def papers() -> list[dict[str, str]]:
    """Papers with what they are predicted to be."""
    table = sample(120)
    found = predict_table(load_packaged(), table, level="category")
    keys = ["aid", "title", "summary"]
    return [dict(zip(keys, row, strict=True)) | {"code": code, "p": p} for row, code, p in zip(table[keys].to_numpy().tolist(), found["predicted"], found["probability"], strict=True)]


def question(paper: dict[str, Any]) -> dict[str, Any]:
    """What is asked about a paper."""
    return {"title": paper["title"], "summary": paper["summary"], "level": "category"}


def is_right(paper: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether an answer is that of `predict`; of sums of 32 bits the last digits may differ."""
    return answer["predicted"] == paper["code"] and abs(answer["probability"] - paper["p"]) < 1e-5


# --- its own description ------------------------------------------------------------------------------------------------------------------


ROUTES = ("/v1/suggest", "/v1/suggest-batch", "/v1/explain", "/v1/models", "/health", "/metrics")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path", ROUTES)
def test_it_does_what_its_description_says(server: int, path: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server}/openapi.json")
    assert set(schema) == set(ROUTES)
    (operation,) = (found.ok() for found in schema.include(path=path).get_all_operations() if isinstance(found, Ok))
    if mode is GenerationMode.NEGATIVE and operation.method == "get":
        return  # a route without parameters cannot be asked wrongly

    known = [positive_data_acceptance] if path == "/v1/explain" else []  # a text without words cannot be explained

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=60 if os.environ.get("CI") else 20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask_any(case: Any) -> None:
        answer = case.call()
        too_large = [negative_data_rejection] if answer.status_code == 413 else []  # refused too, which the check does not know
        case.validate_response(answer, excluded_checks=known + too_large)

    ask_any()


# --- load ---------------------------------------------------------------------------------------------------------------------------------


def press(
    port: int, papers: list[dict[str, str]], seconds: float, clients: int, retry: bool = False, stop: threading.Event | None = None
) -> tuple[int, list[str]]:
    """Ask from many clients at once; how many answers there were, and what went wrong."""
    wrong: list[str] = []
    counts = [0] * clients
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        place = number
        while time.monotonic() < end and not (stop and stop.is_set()):
            paper = papers[place % len(papers)]
            try:
                connection.request("POST", "/v1/suggest", json.dumps(question(paper)), JSON)
                answer = connection.getresponse()
                found = json.loads(answer.read())
                if answer.status != 200 or not is_right(paper, found):
                    wrong.append(f"{answer.status} {found}")
                counts[number] += 1
                place += 1
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if not retry:
                    wrong.append(repr(error))
                time.sleep(0.02)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), wrong


def test_many_clients_get_the_answers_of_predict(server: int, papers: list[dict[str, str]]) -> None:
    count, wrong = press(server, papers, LOAD_SECONDS, clients=32)
    assert not wrong, wrong[:3]
    assert count >= 32
    status, found = ask(server, "/v1/suggest-batch", {"papers": [{key: paper[key] for key in ("aid", "title", "summary")} for paper in papers], "level": "category"})
    assert status == 200 and all(is_right(paper, one) and one["aid"] == paper["aid"] for paper, one in zip(papers, found["results"], strict=True))
    together = re.findall(r'batch_papers_bucket\{le="1.0"\} (\S+)|batch_papers_count (\S+)', ask(server, "/metrics")[1])
    assert len(together) == 2 and float(together[0][0]) < float(together[1][1]), "some were scored together"


def test_it_comes_back_under_load(papers: list[dict[str, str]]) -> None:
    port = free_port()
    first = start(port)
    found: list[Any] = []
    stop = threading.Event()
    thread = threading.Thread(target=lambda: found.append(press(port, papers, 120, 8, retry=True, stop=stop)))
    thread.start()
    time.sleep(1)
    first.kill()
    first.communicate()
    second = start(port)
    for _ in range(600):  # until the second one has answered each client
        counted = re.search(r'requests_total\{route="/v1/suggest",status="200"\} (\S+)', ask(port, "/metrics")[1])
        if counted and float(counted[1]) >= 8:
            break
        time.sleep(0.1)
    stop.set()
    thread.join()
    second.terminate()
    assert second.communicate(timeout=60) and second.returncode == 0
    count, wrong = found[0]
    assert count >= 8 and not wrong, wrong[:3]


def test_workers_share_the_load_and_their_counts(papers: list[dict[str, str]]) -> None:
    with running(workers=2) as port:
        count, wrong = press(port, papers, 2, clients=8)
        assert count and not wrong, wrong[:3]
        counted = {re.search(r'requests_total\{route="/v1/suggest",status="200"\} (\S+)', ask(port, "/metrics")[1])[1] for _ in range(4)}  # type: ignore[index]
        assert counted == {f"{count:.1f}"}, "any worker shows the sum over all"


# --- what is wrong, and what is meant ill -------------------------------------------------------------------------------------------------

HOSTILE = {
    "10 MB": (b'{"title": "' + b"a" * 10_000_000 + b'"}', 413),
    "a NUL byte": (b'{"title": "a\x00b"}', 400),
    "a NUL character": (b'{"title": "a\\u0000b"}', 200),
    "deep JSON": (b'{"title":' * 200_000, 400),
    "deep lists": (b"[" * 1_000_000, 400),
    "half a pair": (b'{"title": "\\ud800"}', 422),
    "no UTF-8": (b'{"title": "\xff"}', 400),
    "NaN": (b'{"title": "a", "abstain_below": NaN}', 422),
    "infinity": (b'{"title": "a", "abstain_below": 1e999}', 422),
    "a number": (b'{"title": 3}', 422),
    "a list": (b'{"title": ["a"]}', 422),
    "no title": (b"{}", 422),
    "an unknown field": (b'{"title": "a", "titel": "b"}', 422),
    "a long number": (b'{"title": "a", "top_k": ' + b"9" * 100_000 + b"}", 400),
    "a long text": (b'{"title": "' + b"a " * 60_000 + b'"}', 422),
    "no words": (b'{"title": ""}', 200),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_is_a_problem(server: int, name: str) -> None:
    body, status = HOSTILE[name]
    for path in ("/v1/suggest", "/v1/explain"):
        found, answer = ask(server, path, body)
        expected = {status} if path == "/v1/suggest" or status > 200 else {422}  # no words can be explained
        assert found in expected, answer
        if found > 200:
            assert set(answer) == {"type", "title", "status", "detail"} and answer["status"] == found
            assert len(answer["detail"]) < 500 and "Traceback" not in answer["detail"] and '.py"' not in answer["detail"]


def test_too_many_papers_are_refused(server: int) -> None:
    status, answer = ask(server, "/v1/suggest-batch", {"papers": [{"title": "a"}] * 1001})
    assert status == 422 and "at most 1000 items" in answer["detail"]
    status, answer = ask(server, "/v1/suggest-batch", {"papers": [{"title": "a"}] * 999 + [{"title": 3}]})
    assert status == 422 and answer["detail"].startswith("papers[999].title: ")
    assert ask(server, "/v1/suggest-batch", {"papers": [{"title": "a"}] * 1000})[0] == 200


@pytest.mark.parametrize("text", [b"GET\r\n\r\n", b"\x00" * 2000, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: " + b"a" * 200_000 + b"\r\n\r\n"])
def test_what_is_no_http_is_refused(server: int, text: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server), timeout=20) as connection, suppress(OSError):
        connection.sendall(text)
        assert b"HTTP/1.1 400" in connection.recv(1000)
    assert ask(server, "/health")[0] == 200


def slow_request(port: int, path: str = "/v1/suggest") -> socket.socket:
    """A request whose body has only begun."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f'POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{{"title"'.encode())
    return connection


def test_a_slow_client_holds_nobody_up(papers: list[dict[str, str]]) -> None:
    with running("body_seconds=2.0, max_requests=60") as port, ExitStack() as opened:
        bodies = [opened.enter_context(slow_request(port)) for _ in range(40)]
        silent = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(40)]
        for connection in silent:
            connection.sendall(b"POST /v1/suggest HT")
        count, wrong = press(port, papers, 1, clients=4)
        assert count >= 4 and not wrong, wrong[:3]
        for connection in silent:  # a byte at a time keeps no connection open
            connection.sendall(b"T")
        for connection in bodies:
            answer = connection.recv(10_000)
            assert b"HTTP/1.1 408" in answer and b"application/problem+json" in answer
        for connection in silent:
            assert connection.recv(1000) == b"", "closed without a word"
        with ExitStack() as many:  # when all places are taken, the next one hears when to come again
            for _ in range(60):
                many.enter_context(slow_request(port))
            time.sleep(0.5)
            connection = slow_request(port)
            connection.sendall(b': "a"}')
            answer = connection.recv(10_000)
            assert b"HTTP/1.1 503" in answer and b"retry-after: 1" in answer.lower()
            assert ask(port, "/health")[0] == 200
            connection.close()


# --- starting and stopping ----------------------------------------------------------------------------------------------------------------


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """What the command said."""
    program = "import sys; from arxiv_nbclf.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", program, "serve", *map(str, words)], capture_output=True, text=True, timeout=120, cwd=ROOT)


def test_what_is_in_hand_is_finished(server: int) -> None:
    port = free_port()
    process = start(port)
    with slow_request(port) as connection:
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        with pytest.raises(OSError):
            ask(port, "/health", seconds=5)
        connection.sendall(b': "a"}')
        assert b"HTTP/1.1 200" in connection.recv(10_000)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 0


def test_what_cannot_be_served_is_said_in_one_line(server: int, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{}")
    for words, why in (
        (("--port", server), f"--port {server} cannot be had on 127.0.0.1"),
        (("--port", 0, "--model", tmp_path), "is not the description of a model"),
        (("--port", 0, "--model", tmp_path, "--workers", 2), "is not the description of a model"),
        (("--port", 0, "--host", "no.such.host.invalid"), "is no address of this machine"),
        (("--port", 70_000), "--port"),
    ):
        done = command(*words)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert why in done.stderr


def test_a_missing_extra_is_named() -> None:
    program = """
import sys
import importlib.util as util
find = util.find_spec
sys.modules["fastapi"] = None
from arxiv_nbclf.core import basics
basics.find_spec = lambda name: None if name == "fastapi" else find(name)
from arxiv_nbclf.cli import main
sys.exit(main(["serve"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "arxiv-nbclf: fastapi is not installed: pip install fastapi\n")


def test_requests_are_logged_as_json() -> None:
    port = free_port()
    process = start(port, "json_log=True")
    assert ask(port, "/v1/suggest", {"title": "a secret title"})[0] == 200
    process.terminate()
    lines = [json.loads(line) for line in process.communicate(timeout=60)[1].splitlines()]
    assert lines[-1]["path"] == "/v1/suggest" and lines[-1]["status"] == 200 and "secret" not in str(lines)


# --- the pages ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser of the Chromium family."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is needed here: apt-get install chromium")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def test_a_person_can_try_the_model(browser: Browser, server: int, papers: list[dict[str, str]]) -> None:
    tab = browser.new_page()
    wrong: list[str] = []
    fetched: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: fetched.append(request.url))
    tab.goto(f"http://127.0.0.1:{server}/")
    assert tab.text_content("#try-verdict") == "Waiting for a title or an abstract."
    tab.click("#try-example")
    tab.wait_for_selector(".try-words li")
    assert "Physics (physics)" in (tab.text_content("#try-verdict") or "")
    assert "(physics.atom-ph)" in (tab.text_content("#try-category") or "")
    paper = papers[0]
    tab.click("#try-clear")
    tab.fill("#try-title", paper["title"])
    tab.fill("#try-abstract", paper["summary"] + " <img src=x onerror=alert(1)>")
    expect(tab.locator("#try-category")).to_contain_text(f"({paper['code']})")
    tab.fill("#try-abstract", "")
    tab.fill("#try-title", "Hmm")
    expect(tab.locator("#try-doubt")).to_contain_text("too few known words")
    tab.goto(f"http://127.0.0.1:{server}/docs")
    section = tab.locator('.route[data-path="/v1/suggest-batch"]')
    assert "papers[].title" in section.inner_text()
    section.locator("button").click()
    expect(section.locator("pre")).to_contain_text('"aid": "row-1"')
    assert not wrong and {url.split("/")[2] for url in fetched if not url.startswith("data:")} == {f"127.0.0.1:{server}"}
    tab.close()


def test_the_page_looks_like_that_of_the_site() -> None:
    packaged = ROOT / "arxiv_nbclf" / "templates" / "server" / "try.css"
    assert packaged.read_bytes() == (ROOT / "nbs" / "try" / "try.css").read_bytes(), "copy nbs/try/try.css beside the other templates"
    policy = page("docs", routes=[], about="").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe-inline'; script-src 'sha256-" in policy


# --- a model with an encoder --------------------------------------------------------------------------------------------------------------


def test_an_encoder_answers_requests_that_arrive_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARXIV_NBCLF_CACHE", str(tmp_path / "cache"))
    table = sample(120)
    encoder = tiny_encoder(tmp_path / "encoder", table["summary"])
    model = new_classifier("hybrid", encoder=str(encoder.folder), max_length=64, bits=12, folds=2).fit(table, table["main_category"].map(group_of).tolist())
    bundle = model.save(tmp_path / "model")
    service = Service(ServerSettings(str(bundle)))
    assert service.batcher.wait == 0.01
    wanted = predict_table(model, table)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    asked: list[Any] = [service.types.one.model_validate({"title": title, "summary": summary}) for title, summary in table[["title", "summary"]].head(20).to_numpy().tolist()]

    async def together() -> list[Any]:
        jobs = [service.job(one, [one.title], [one.summary]) for one in asked]
        return await asyncio.gather(*map(service.batcher.submit, jobs))

    with ThreadPoolExecutor(1) as pool:  # a browser of another test leaves its event loop running in this thread
        found = [one for (one,) in pool.submit(asyncio.run, together()).result()]
    assert [one["predicted"] for one in found] == wanted["predicted"].head(20).tolist()
    assert [one["probability"] for one in found] == pytest.approx(wanted["probability"].head(20).tolist(), abs=1e-4)
    assert service.metrics.registry.get_sample_value("arxiv_nbclf_batch_papers_count") == 1, "scored in one batch"
    kept = {path.relative_to(tmp_path / "cache").parts[0] for path in tmp_path.glob("cache/**/*")}
    assert kept <= {"encoders"}, "the encoder in 8 bits, and nothing of what was asked"
