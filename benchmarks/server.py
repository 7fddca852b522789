"""A server on this machine: papers and requests a second, latencies, memory, seconds to start. Prints one JSON line.

    python benchmarks/server.py [PAPERS] [--requests 100000] [--seconds 6] [--model FOLDER] [--workers 1]

Three servers run one after the other, each in a process of its own under uvicorn, asked by the same client over keep-alive connections:
a route of FastAPI that does nothing (what no server of this kind can exceed), a pipeline of scikit-learn behind FastAPI (hashed words and
pairs, tf-idf, a linear classifier of the eight groups, as people put one together in an afternoon), and `arxiv-nbclf serve`. Papers are synthetic unless a
table is named. `single` is one paper a request from 32 connections; `batch` a hundred papers a request from 4; `paced` 200 requests a
second, sent on time whether or not earlier ones were answered, so that a stall counts in full. `memory` is the resident memory of the
server after a warm-up and after as many requests more. `start_s` is from the start of the process to the first answer of `/health`,
`ready_s` to that of the first paper. The client and the server share the machine's cores.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from _origin import origin

from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import load_packaged, predict_table

EMPTY = """
import sys, uvicorn
from fastapi import FastAPI, Response
app = FastAPI()

@app.get("/health")
async def health():
    return Response("{}", media_type="application/json")

@app.post("/v1/suggest")
async def suggest():
    return Response("{}", media_type="application/json")

uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""
PEER = """
import sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from arxiv_nbclf import sample
from arxiv_nbclf.data.taxonomy import group_of
table = sample(3000, 1)
words = HashingVectorizer(n_features=2**17, ngram_range=(1, 2), alternate_sign=False)
pipeline = make_pipeline(words, TfidfTransformer(sublinear_tf=True), SGDClassifier(loss="log_loss", random_state=0))
pipeline.fit(table["title"] + " " + table["summary"], table["main_category"].map(group_of))
app = FastAPI()

class Paper(BaseModel):
    title: str
    summary: str = ""

class Papers(BaseModel):
    papers: list[Paper]

def answers(papers):
    shares = pipeline.predict_proba([f"{paper.title} {paper.summary}" for paper in papers])
    best = shares.argmax(axis=1)
    return [{"predicted": str(pipeline.classes_[k]), "probability": float(row[k])} for k, row in zip(best, shares)]

@app.get("/health")
def health():
    return {"status": "ok"}

@app.post("/v1/suggest")
def suggest(paper: Paper):
    return answers([paper])[0]

@app.post("/v1/suggest-batch")
def suggest_batch(asked: Papers):
    return {"results": answers(asked.papers)}

uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""
OURS = "import sys; from arxiv_nbclf.cli import main; sys.exit(main(['serve', '--port', *sys.argv[1:]]))"


def request(
    path: str,  # of the route
    body: Any,  # as JSON
) -> bytes:
    """A request as it is sent."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Connection(asyncio.Protocol):
    """A keep-alive connection that asks once at a time, with as little work as can be."""

    def __init__(self) -> None:
        self.data, self.waiting = bytearray(), asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head = self.data.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self.data.lower().find(b"content-length:", 0, head)
        size = int(self.data[start + 15 : self.data.find(b"\r", start)])
        if len(self.data) >= head + 4 + size:
            whole, self.data = bytes(self.data), bytearray()
            if not whole.startswith(b"HTTP/1.1 200"):
                self.waiting.set_exception(RuntimeError(whole[:500].decode()))
            else:
                self.waiting.set_result(whole[head + 4 :])

    def connection_lost(self, error: Exception | None) -> None:
        if not self.waiting.done():
            self.waiting.set_exception(ConnectionError("the server has closed the connection"))

    async def ask(self, message: bytes) -> bytes:
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return await self.waiting


async def connect(
    port: int,  # of the server
) -> Connection:
    """An open connection."""
    return (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port))[1]


async def press(
    port: int,  # of the server
    messages: list[bytes],  # to be sent in turn
    clients: int,  # connections
    goes_on: Callable[[int], bool],  # from the number of requests so far
) -> tuple[int, float, list[float]]:  # requests, seconds, milliseconds of each
    """Ask as fast as answers come."""
    taken: list[float] = []

    async def client(number: int) -> None:
        connection, place = await connect(port), number
        while goes_on(len(taken)):
            start = time.perf_counter()
            await connection.ask(messages[place % len(messages)])
            taken.append(1000 * (time.perf_counter() - start))
            place += clients
        connection.transport.close()

    start = time.perf_counter()
    await asyncio.gather(*map(client, range(clients)))
    return len(taken), time.perf_counter() - start, taken


def for_seconds(
    seconds: float,  # from now on
) -> Callable[[int], bool]:
    """A `press` of some seconds."""
    end = time.perf_counter() + seconds
    return lambda count: time.perf_counter() < end


async def pace(
    port: int,  # of the server
    messages: list[bytes],  # to be sent in turn
    rate: int,  # requests a second
    seconds: float,  # that it goes on
) -> list[float]:  # milliseconds from when each was due to its answer
    """Ask on time, over as many connections as that takes."""
    free = [await connect(port) for _ in range(8)]
    taken: list[float] = []

    async def one(message: bytes, due: float) -> None:
        connection = free.pop() if free else await connect(port)
        await connection.ask(message)
        taken.append(1000 * (time.perf_counter() - due))
        free.append(connection)

    start, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(messages[number % len(messages)], due)))
    await asyncio.gather(*tasks)
    return taken


def percentiles(
    taken: list[float],  # milliseconds
) -> dict[str, float]:
    """The middle and the slow end."""
    return {f"p{q}_ms": round(float(np.percentile(taken, q)), 2) for q in (50, 95, 99)} | {"max_ms": round(max(taken), 2)}


def memory_mb(
    process: int,  # its number
) -> float:  # of it and of its children, in use
    """Resident memory."""
    own = f"/proc/{process}"
    pages = int(Path(f"{own}/statm").read_text().split()[1])
    children = map(int, Path(f"{own}/task/{process}/children").read_text().split())
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(map(memory_mb, children)), 1)


@contextmanager
def serving(
    program: str,  # of Python, which takes a port
    first: bytes,  # a request to be answered
    *words: str,  # that follow
) -> Iterator[tuple[int, int, dict[str, float]]]:  # port, process, start_s and ready_s
    """A server in a process of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, str(port), *words], stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if connection.recv(100).startswith(b"HTTP/1.1 200"):
                    break
            time.sleep(0.01)
        found = {"start_s": round(time.perf_counter() - start, 2)}

        async def ask() -> None:
            await (await connect(port)).ask(first)

        asyncio.run(ask())
        yield port, process.pid, found | {"ready_s": round(time.perf_counter() - start, 2)}
    finally:
        process.terminate()
        process.wait(60)


def measure(
    port: int,  # of the server
    singles: list[bytes],  # requests of one paper
    batches: list[bytes],  # of a hundred papers; none: not asked
    seconds: float,  # of each part
) -> dict[str, Any]:
    """Requests and papers a second, and latencies."""
    asyncio.run(press(port, singles, 32, for_seconds(1)))
    count, took, taken = asyncio.run(press(port, singles, 32, for_seconds(seconds)))
    found: dict[str, Any] = {"single": {"requests_per_s": round(count / took)} | percentiles(taken)}
    if batches:
        asyncio.run(press(port, batches, 2, for_seconds(1)))
        count, took, taken = asyncio.run(press(port, batches, 4, for_seconds(seconds)))
        found["batch"] = {"papers_per_s": round(100 * count / took)} | percentiles(taken)
    if found["single"]["requests_per_s"] > 200:  # a slower one would only ever fall behind
        found["paced"] = {"requests_per_s": 200} | percentiles(asyncio.run(pace(port, singles, 200, seconds)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="?", default="sample")
    parser.add_argument("--requests", type=int, default=100_000, help="over which memory is watched")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--model", help="a bundle or a run folder; absent: the packaged model")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    table = read_papers(options.papers, purpose="prediction").papers[["title", "summary"]].head(2000)
    papers = table.to_dict("records")
    singles = [request("/v1/suggest", paper) for paper in papers]
    batches = [request("/v1/suggest-batch", {"papers": papers[start : start + 100]}) for start in range(0, len(papers) - 99, 100)]
    result: dict[str, Any] = {"benchmark": "server", "papers": len(papers), "workers": options.workers}
    with serving(EMPTY, singles[0]) as (port, _, _):
        result["empty_route"] = measure(port, singles, [], options.seconds)
    with serving(PEER, singles[0]) as (port, _, _):
        result["scikit_learn"] = measure(port, singles, batches, options.seconds)
    words = ["--workers", str(options.workers), *(["--model", options.model] if options.model else [])]
    with serving(OURS, singles[0]):  # once before, for code is compiled but once
        pass
    with serving(OURS, singles[0], *words) as (port, process, started):
        result["serve"] = started | measure(port, singles, batches, options.seconds)
        if not options.model:
            answers = json.loads(asyncio.run(ask_once(port, batches[0])))["results"]
            wanted = predict_table(load_packaged(), table.head(100))["predicted"].tolist()
            result["serve"]["same_as_predict"] = [one["predicted"] for one in answers] == wanted
        before = memory_mb(process)
        count, took, _ = asyncio.run(press(port, singles, 32, lambda count: count < options.requests))
        after = memory_mb(process)
        result["serve"]["memory"] = {"requests": count, "before_mb": before, "after_mb": after, "requests_per_s": round(count / took)}
    print(json.dumps(result | origin()))


async def ask_once(
    port: int,  # of the server
    message: bytes,  # to be sent
) -> bytes:  # the body of the answer
    """One answer."""
    return await (await connect(port)).ask(message)


if __name__ == "__main__":
    main()
