"""The server of the harvest's tests answers as arXiv does, and its faults are the faults that their names say."""

from collections.abc import Callable
from http.client import RemoteDisconnected
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pandas as pd
import pytest
from arxiv_server import (
    Answer,
    ArxivServer,
    _body,
    _listed,
    _page,
    _status,
    matching,
    serve_papers,
    write_feed,
)

from arxiv_nbclf import read_papers, sample
from arxiv_nbclf.data.arxiv_feed import Feed, parse_feed

QUERY = {"search_query": "(cat:cs.*) AND submittedDate:[199101010000 TO 202512312359]", "start": 0, "max_results": 5}


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    "Some hundred papers."
    return read_papers(sample(300)).papers


@pytest.fixture
def answered(papers: pd.DataFrame) -> Callable[[str | None], Feed]:
    "The feed that comes under a fault."
    def ask(fault: str | None) -> Feed:
        with serve_papers(papers, always=fault) as arxiv:
            return parse_feed(urlopen(f"{arxiv.api}?{urlencode(QUERY)}").read())
    return ask


def test_categories_days_and_ids_select_papers(papers: pd.DataFrame) -> None:
    found = matching(papers, {"search_query": "(cat:cs.CL OR cat:math.*) AND submittedDate:[202504010000 TO 202512312359]"})
    assert len(found)
    assert all("cs.CL" in codes or "math." in codes for codes in found.categories)
    ids = matching(papers, {"id_list": f"{papers.aid[7]}v2,2504.00000,{papers.aid[3]}"})
    assert ids.aid.tolist() == [papers.aid[7], papers.aid[3]]
    assert matching(papers, {"search_query": "(cat:cs.*)"}).published.is_monotonic_increasing
    queries = ("(cat:cs.CL)", "(cat:math.*)", "cat:cs.C", "cat:cs.* OR cat:gr-qc", "cat:math-ph")
    assert [_listed("cs.CL,math-ph", query) for query in queries] == [True, False, False, True, True]


def test_a_fault_changes_the_right_answer(papers: pd.DataFrame) -> None:
    few = papers.head(3)
    right: Answer = (200, {}, write_feed(few, 10))
    assert _status(429, Retry_After="7")(right, few, {}) == (429, {"Retry-After": "7"}, b"try later")
    assert parse_feed(_page(lambda page: page.head(1))(right, few, {})[2]).n_entries == 1
    assert _body(lambda body: body[:5])(right, few, {})[2] == b"<?xml"


def test_faults_come_at_the_requests_that_were_named(papers: pd.DataFrame) -> None:
    running = ArxivServer(papers, {2: "503"})
    question = {"search_query": "(cat:cs.*)", "start": "0", "max_results": "3"}
    assert [running.answer(question)[0] for _ in range(3)] == [200, 503, 200]
    assert parse_feed(running.answer(question)[2]).n_entries == 3
    with serve_papers(papers, faults=["", "429"]) as arxiv:
        urlopen(f"{arxiv.api}?{urlencode(QUERY)}").read()
        with pytest.raises(HTTPError):
            urlopen(f"{arxiv.api}?{urlencode(QUERY)}")
    assert (len(arxiv.asked), arxiv.asked[0]["max_results"]) == (2, "5")


def test_faults_are_what_their_names_say(answered: Callable[[str | None], Feed]) -> None:
    feed = answered(None)
    pages = ("empty page", "nothing found", "short page", "a paper twice", "a paper withheld")
    assert [answered(fault).n_entries for fault in pages] == [0, 0, 3, 6, 4]
    assert [answered(fault).total == feed.total for fault in pages[:3]] == [True, False, True]
    assert answered("no primary").papers.main_category.tolist() == feed.papers.categories.str.split(",").str[0].tolist()
    with pytest.raises(RemoteDisconnected):
        answered("connection cut")
    for status in ("503", "404"):
        with pytest.raises(HTTPError):
            answered(status)
