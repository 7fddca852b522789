"""A server on this machine that answers as arXiv's API does, with the faults of the real one, to try harvests on."""

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from arxiv_nbclf.data.arxiv_feed import MAX_FEED_BYTES

ATOM, ARXIV = "http://www.w3.org/2005/Atom", "http://arxiv.org/schemas/atom"
OPENSEARCH = "http://a9.com/-/spec/opensearch/1.1/"
_HEAD = (f'<feed xmlns:opensearch="{OPENSEARCH}" xmlns:arxiv="{ARXIV}" xmlns="{ATOM}">'
         "<opensearch:totalResults>{total}</opensearch:totalResults><opensearch:startIndex>{start}</opensearch:startIndex>")


def write_feed(
    papers: pd.DataFrame,  # aid, title, summary, categories, main_category, published; version, other_subjects, withdrawn if it has them
    total: int,  # what the feed shall say: papers that match
    start: int = 0,  # place of the first one among them
) -> bytes:  # XML
    "Write papers as arXiv's API does."
    parts = ["<?xml version='1.0' encoding='UTF-8'?>", _HEAD.format(total=total, start=start)]
    for paper in papers.to_dict("records"):
        version = paper.get("version")
        parts.append(f"<entry><id>http://arxiv.org/abs/{escape(paper['aid'])}v{1 if pd.isna(version) else version}</id>")
        parts.append(f"<published>{pd.Timestamp(paper['published']):%Y-%m-%dT%H:%M:%SZ}</published>")
        parts += [f"<{name}>{escape(paper[name])}</{name}>" for name in ("title", "summary")]
        codes = f"{paper['categories']},{paper.get('other_subjects') or ''}".strip(",").split(",")
        parts += [f'<category term="{escape(code)}"/>' for code in codes]
        if isinstance(paper["main_category"], str):
            parts.append(f'<arxiv:primary_category term="{escape(paper["main_category"])}"/>')
        parts.append("<arxiv:comment>withdrawn</arxiv:comment></entry>" if paper.get("withdrawn") else "</entry>")
    return "".join([*parts, "</feed>"]).encode()


def _listed(
    codes: str,  # of a paper, parted by commas
    query: str,  # cat:cs.CL OR cat:math.*
) -> bool:
    "Whether a paper is listed in one of the categories that a question names."
    wanted = re.findall(r"cat:(\S+?)(?:\*)?(?=[\s)]|$)", query)
    return any(code == word or (word.endswith(".") and code.startswith(word)) for code in codes.split(",") for word in wanted)


def matching(
    papers: pd.DataFrame,  # the collection
    question: dict[str, str],  # search_query, or id_list
) -> pd.DataFrame:  # papers that match, the oldest first
    "The papers for which a question asks."
    if ids := [re.sub(r"v\d+$", "", word) for word in question.get("id_list", "").split(",") if word]:
        return papers.set_index("aid", drop=False).loc[[word for word in ids if word in set(papers.aid)]]
    query = question.get("search_query", "")
    listed = {codes: _listed(codes, query) for codes in papers.categories.unique()}
    found = papers[papers.categories.map(listed)]
    if days := re.search(r"submittedDate:\[(\d{12}) TO (\d{12})\]", query):
        start, end = (pd.Timestamp(datetime.strptime(text, "%Y%m%d%H%M"), tz="UTC") for text in days.groups())
        found = found[found.published.dt.floor("min").between(start, end)]
    return found.sort_values(["published", "aid"])


# status (0: the body is all that is sent, as it is), headers, body (or parts of it, sent one after the other until nobody reads)
Answer = tuple[int, dict[str, str], bytes | Iterable[bytes]]
Fault = Callable[[Answer, pd.DataFrame, dict[str, str]], Answer]  # the right answer, its papers, the question → what is sent


def _status(
    code: int,
    **headers: str,
) -> Fault:
    "Answer with a status and no feed."
    return lambda answer, papers, question: (code, {name.replace("_", "-"): text for name, text in headers.items()}, b"try later")


def _body(
    change: Callable[[bytes], bytes],
) -> Fault:
    "Answer with another body."
    return lambda answer, papers, question: (answer[0], {}, change(answer[2]))


def _page(
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> Fault:
    "Answer with another page of as many papers in all."
    def fault(answer: Answer, papers: pd.DataFrame, question: dict[str, str]) -> Answer:
        total = int(re.search(rb"totalResults>(\d+)", answer[2])[1])  # type: ignore[index]
        return 200, {}, write_feed(change(papers), total, int(question.get("start", 0)))
    return fault


def _slowly(
    data: bytes,
) -> Iterator[bytes]:
    "A byte at a time."
    for byte in data:
        time.sleep(0.1)
        yield bytes([byte])


def _parts(
    make: Callable[[bytes], Iterable[bytes]],  # of the right body
    status: int = 200,
    **headers: str,
) -> Fault:
    "Answer in parts."
    return lambda answer, papers, question: (status, {name.replace("_", "-"): text for name, text in headers.items()}, make(answer[2]))


_OK, _MANY, _BLANK = b"HTTP/1.1 200 OK\r\n", b"x" * 65_536, gzip.compress(b" " * (1 << 20))
FAULTS: dict[str, Fault] = {
    "empty page": _page(lambda papers: papers.head(0)),
    "nothing found": _body(lambda body: write_feed(pd.DataFrame(), 0)),
    "short page": _page(lambda papers: papers.head(len(papers) // 2 + 1)),
    "half the ids": _page(lambda papers: papers.iloc[::2]),
    "a paper twice": _page(lambda papers: pd.concat([papers.head(1), papers])),
    "a paper withheld": _page(lambda papers: papers.iloc[1:]),
    "no primary": _page(lambda papers: papers.assign(main_category=None)),
    "429": _status(429, Retry_After="0"),
    "503": _status(503),
    "404": _status(404),
    "redirect": _status(302, Location="/api/query"),
    "connection cut": lambda answer, papers, question: (0, {}, b""),
    "cut body": lambda answer, papers, question: (200, {"Content-Length": str(len(answer[2]))}, answer[2][: len(answer[2]) // 2]),
    "malformed": _body(lambda body: body[:-40]),
    "bomb": _body(lambda body: b'<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + body),
    "too long": _body(lambda body: body + b" " * MAX_FEED_BYTES),
    "web page": _body(lambda body: b"<html>Please log in</html>"),
    "error": _body(lambda body: body.replace(b"/abs/", b"/api/errors#", 1)),
}


HOLDS: dict[str, Fault] = {  # a server that would keep a client busy, and a compressed answer that is in order
    "endless": _parts(lambda body: chain([body], repeat(_MANY))),
    "endless 503": _parts(lambda body: repeat(_MANY), 503),
    "dripping": _parts(_slowly),
    "dripping head": _parts(lambda body: chain([_OK], _slowly(b"X-Filler: x\r\n" * 99_999)), 0),
    "dripping chunk": _parts(lambda body: chain([_OK, b"Transfer-Encoding: chunked\r\n\r\n"], _slowly(b"0" * 99_999)), 0),
    "many headers": _parts(lambda body: chain([_OK], repeat(b"X-Filler: x\r\n")), 0),
    "endless header": _parts(lambda body: chain([_OK, b"X-Filler: "], repeat(_MANY)), 0),
    "endless 100": _parts(lambda body: repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), 0),
    "gzip bomb": _parts(lambda body: [gzip.compress(body), *repeat(_BLANK, 64)], Content_Encoding="gzip"),
    "gzip": _parts(lambda body: [gzip.compress(body)], Content_Encoding="gzip"),
}


@dataclass
class ArxivServer:
    "A running server, and what it was asked."

    papers: pd.DataFrame  # its collection; it may change
    faults: dict[int, str] = field(default_factory=dict)  # number of a request, from 1 → name in FAULTS
    always: str | None = None  # a fault at every request
    api: str = ""  # its address
    asked: list[dict[str, str]] = field(default_factory=list)  # the questions, in order
    connections: set[Any] = field(default_factory=set)  # where they came from

    def answer(
        self,
        question: dict[str, str],
    ) -> Answer:
        "What is sent back."
        self.asked.append(question)
        found = matching(self.papers, question)
        start, most = int(question.get("start", 0)), int(question.get("max_results", 10))
        page = found.iloc[start : start + most]
        right: Answer = (200, {}, write_feed(page, len(found), start))
        name = self.faults.get(len(self.asked), self.always)
        return (FAULTS | HOLDS)[name](right, page, question) if name else right


def _handler(
    server: ArxivServer,
) -> type[BaseHTTPRequestHandler]:
    "A handler of requests for the server of the standard library."

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            question = {name: texts[0] for name, texts in parse_qs(urlsplit(self.path).query).items()}
            server.connections.add(self.client_address)
            status, headers, body = server.answer(question)
            whole = isinstance(body, bytes)
            with suppress(OSError):  # whoever asked may have heard enough
                if status:
                    self.send_response(status)
                    for name, text in (({"Content-Length": str(len(body))} if whole else {}) | headers).items():
                        self.send_header(name, text)
                    self.end_headers()
                for part in [body] if whole else body:
                    self.wfile.write(part)
            self.close_connection = status == 0 or not whole or len(body) < int(headers.get("Content-Length", 0))

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        "Somebody hung up, or was killed."


@contextmanager
def serve_papers(
    papers: pd.DataFrame,  # a papers table, dates included
    faults: Sequence[str] | dict[int, str] = (),  # names in FAULTS or HOLDS, for the first requests ("" for none) or by number of the request
    always: str | None = None,  # a fault at every request
) -> Iterator[ArxivServer]:  # its `api` is the address
    "Answer as arXiv's API does, on this machine, as long as the block runs."
    by_number = dict(faults) if isinstance(faults, dict) else dict(enumerate(faults, 1))
    running = ArxivServer(papers, {number: name for number, name in by_number.items() if name}, always)
    listening = _Server(("127.0.0.1", 0), _handler(running))
    running.api = f"http://127.0.0.1:{listening.server_port}/api/query"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        listening.shutdown()
        listening.server_close()
