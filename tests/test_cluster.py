"""A stream of papers on a cluster of two machines, which are processes of this one: workers are killed, and a machine is lost."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # nothing but loopback; Ray looks once
ray = pytest.importorskip("ray")
if not Path("/proc").is_dir():
    pytest.skip("workers are looked for in /proc", allow_module_level=True)

from ray import cloudpickle  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from tiny_models import tiny_encoder  # noqa: E402

from arxiv_nbclf import cli, label_ids, new_classifier, sample  # noqa: E402
from arxiv_nbclf.deployment import cluster as cluster_module  # noqa: E402
from arxiv_nbclf.deployment.bulk import (  # noqa: E402
    Engine,
    PredictionJob,
    StreamResult,
    local_engine,
    predict_stream,
)
from arxiv_nbclf.deployment.cluster import BadCluster, Interrupted, ray_engine  # noqa: E402
from arxiv_nbclf.preprocessing import paper_texts  # noqa: E402

ROWS, ROWS_PER_SHARD = 3_000, 100


def add(cluster: Cluster, **has: Any) -> Any:
    """One more machine. Ray waits half a minute for it, which may be too little where others work, too."""
    with suppress(Exception):
        return cluster.add_node(**has)
    return cluster.add_node(**has)


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """Two machines of one core each, one with accelerators, and this process connected to them."""
    cluster = Cluster()
    try:
        missed_sooner = {"health_check_initial_delay_ms": 1_000, "health_check_period_ms": 1_000}  # a lost machine, after five checks
        add(cluster, num_cpus=1, include_dashboard=False, _system_config=missed_sooner)
        add(cluster, num_cpus=1, num_gpus=2)  # as far as Ray knows
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, papers with bad rows among them, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("cluster")
    papers = sample(1_000)
    new_classifier("linear", C=0.5).fit(papers, label_ids(papers)).save(folder / "model")
    many = pd.concat([papers] * (ROWS // 1_000), ignore_index=True)
    many["aid"] = [f"paper-{row}" for row in range(ROWS)]
    many.loc[::97, "summary"] = " "
    many.to_json(folder / "papers.jsonl", orient="records", lines=True, date_format="iso")
    many.head(240).to_parquet(folder / "few.parquet")
    predict(folder, "local", local_engine)
    return folder


def predict(place: Path, out: str, engine: Engine, **others: Any) -> StreamResult:
    """Predict the papers."""
    asked = {"source": place / "papers.jsonl", "model": place / "model", "rows_per_shard": ROWS_PER_SHARD} | others
    return predict_stream(**asked, out=place / out, engine=engine)


def check(stream: StreamResult, expected: Path) -> None:
    """The result is, file by file, what one process has made."""
    pd.testing.assert_frame_equal(pd.read_parquet(stream.folder), pd.read_parquet(expected))
    names, wanted = (sorted(path.name for path in folder.iterdir()) for folder in (stream.folder, expected))
    assert names == wanted
    for name in (name for name in wanted if name.startswith("_rejects")):
        pd.testing.assert_frame_equal(pd.read_parquet(stream.folder / name), pd.read_parquet(expected / name))


def workers(machines: Cluster) -> list[int]:
    """Ids of the processes that predict, on these machines and on no other cluster's."""
    found = []
    hosts = {node.all_processes["raylet"][0].process.pid for node in (machines.head_node, *machines.worker_nodes)}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in hosts and b"Worker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def disturbed(job: PredictionJob, disturb: Callable[[int], None]) -> Iterator[int | None]:
    """The engine, and something that happens each time a shard is done."""
    with closing(ray_engine(job)) as engine:
        for number, papers in enumerate(engine):
            disturb(number)
            yield papers


class Stopped(Exception):
    """Ends a job from outside."""


def a_few(engine: Engine, job: PredictionJob) -> Iterator[int | None]:
    """An engine that is stopped after a few shards."""
    with closing(engine(job)) as shards:
        yield from islice(shards, 3)
    raise Stopped


def begin(place: Path, out: str, engine: Engine) -> dict[str, int]:
    """Begin a job and stop it; the shards that are there, and when they were written."""
    with pytest.raises(Stopped):
        predict(place, out, partial(a_few, engine))
    return {path.name: path.stat().st_mtime_ns for path in (place / f"{out}.partial").glob("part-*")}


def check_kept(stream: StreamResult, begun: dict[str, int]) -> None:
    """What had been begun was not done again."""
    assert stream.already_finished == len(begun) >= 3
    assert begun.items() <= {path.name: path.stat().st_mtime_ns for path in stream.folder.iterdir()}.items()


def test_workers_that_are_killed_lose_no_row_and_double_none(machines: Cluster, place: Path) -> None:
    killed = []

    def kill(done: int) -> None:
        if done in (len(begun) + 2, len(begun) + 12):  # all, and later one; in the middle of a shard, or between two
            for pid in workers(machines)[: None if not killed else 1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    begun = begin(place, "killed", local_engine)
    stream = predict(place, "killed", partial(disturbed, disturb=kill))
    assert len(killed) == len(set(killed)) >= 2
    assert stream.shards == ROWS // ROWS_PER_SHARD
    check_kept(stream, begun)
    check(stream, place / "local")


def test_the_command_predicts_by_an_encoder(machines: Cluster, place: Path) -> None:
    papers = sample(200)
    encoder = tiny_encoder(place / "tiny", paper_texts(papers), layers=1)
    hybrid = new_classifier("hybrid", encoder=str(encoder.folder), max_length=32, folds=2).fit(papers, label_ids(papers))
    hybrid.save(place / "hybrid")
    for engine in ("local", "ray"):
        words = "predict", place / "few.parquet", "--model", place / "hybrid", "--out", place / f"hybrid_{engine}", "--engine", engine
        assert cli.main(list(map(str, words))) == 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(place / f"hybrid_{engine}") for engine in ("ray", "local")))


def test_what_is_wrong_on_a_machine_is_reported_in_one_line(machines: Cluster, place: Path) -> None:
    def with_another(job: PredictionJob) -> Iterator[int | None]:
        yield from ray_engine(replace(job, which=job.which | {"sha256": "0"}))

    with pytest.raises(BadCluster, match=r'the machine .* has another model or version than the main process \(sha256 was "0"') as raised:
        predict(place, "other", with_another)
    assert len(str(raised.value).splitlines()) == 1


def test_what_was_written_stays_when_workers_die_too_often(machines: Cluster, place: Path) -> None:
    def kill(done: int) -> None:
        if done == 2:
            for pid in workers(machines):
                os.kill(pid, signal.SIGKILL)

    with patch.object(cluster_module, "MAX_WORKER_DEATHS", 0), pytest.raises(Interrupted, match="workers die, .*the same command goes on") as raised:
        predict(place, "given_up", partial(disturbed, disturb=kill))
    assert len(str(raised.value).splitlines()) == 1
    stream = predict(place, "given_up", local_engine)
    assert stream.already_finished >= 3
    check(stream, place / "local")


class Seen(cluster_module.Worker):
    """A worker that leaves a note of the accelerators that it was given, and waits for the other one's."""

    def load(self) -> str:
        (self.folder / f"_cards-{os.environ['CUDA_VISIBLE_DEVICES']}").touch()
        for _ in range(1_000):
            if len(list(self.folder.glob("_cards-*"))) == 2:
                break
            time.sleep(0.1)
        return super().load()


def test_each_accelerator_has_a_worker(machines: Cluster, place: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with patch.object(cluster_module, "Worker", Seen), patch.object(cluster_module, "device_for", return_value="accelerator"):
        begun = begin(place, "cards", ray_engine)
    stream = predict(place, "cards", local_engine)
    check_kept(stream, begun)
    notes = sorted(stream.folder.glob("_cards-*"))
    assert [path.name for path in notes] == ["_cards-0", "_cards-1"]
    for path in notes:
        path.unlink()
    check(stream, place / "local")


def test_a_machine_that_is_lost_is_done_without(machines: Cluster, place: Path) -> None:
    def lose(done: int) -> None:
        if done == 2:
            machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)

    stream = predict(place, "lost", partial(disturbed, disturb=lose))
    check(stream, place / "local")
    assert len([node for node in ray.nodes() if node["Alive"]]) == 1
