"""Fine-tuning with several processes, and in a process that is killed: what a notebook, being one process, cannot show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if not hasattr(os, "fork"):
    pytest.skip("processes are forked here", allow_module_level=True)
pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = """
import os, socket, sys
from pathlib import Path
import accelerate, datasets, numpy as np, sklearn.metrics, torch
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
import arxiv_nbclf.training.finetuned as training
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids
from arxiv_nbclf.data.synthetic import sample

torch.set_num_threads(1)
out, encoder = Path(sys.argv[1]), sys.argv[2]
fast, original = {"tokens_per_batch": 512, "patience": 0}, {"recipe": "original"}

class Deadly(type(training.epoch_logger())):
    def __init__(self, on_epoch=None):
        pass

    def on_step_end(self, args, state, control, **kwargs):
        if state.epoch > 1.5:
            os._exit(9)

def fit(name, settings, work=None):
    "Fine-tune, and write down what the model says."
    papers = read_papers(sample(100, seed=1)).papers
    labels = label_ids(papers)
    model = training.FineTunedClassifier(encoder=encoder, max_length=32, learning_rate=3e-3, epochs=3, **settings)
    model.work_folder = work
    model.fit(papers[:80], labels[:80], validation=(papers[80:], labels[80:]))
    np.save(out / f"{name}_{os.environ.get('RANK', '0')}.npy", model.decision_function(papers))

def whole(name):
    fit(f"fast_{name}", fast)
    fit(f"original_{name}", original)

def killed(name):
    training.epoch_logger = Deadly
    fit(f"resumed_{name}", fast, out / f"work_{name}")

def resumed(name):
    fit(f"resumed_{name}", fast, out / f"work_{name}")

def run(work, processes):
    "Do it in new processes, which need not import everything once more; the exit statuses."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    children = []
    for rank in range(processes):
        if not (child := os.fork()):
            os.environ.update(there | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {})
            try:
                work(str(processes))
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

for processes in (1, 2):
    assert run(whole, processes) == [0] * processes
    assert run(killed, processes) == [9] * processes
    assert not list(out.glob(f"resumed_{processes}*"))
    assert len(list((out / f"work_{processes}" / "checkpoints").glob("checkpoint-*/whole.json"))) == 1
    assert run(resumed, processes) == [0] * processes
"""


def start(
    program: Path,
    *arguments: str | Path,
    processes: int = 1,
) -> subprocess.CompletedProcess:
    """Run a Python program in one process, or in several that share the work."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *torchrun, *map(str, [program, *arguments])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=quiet)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder without dropout: random numbers differ between processes, and that is not what is looked at."""
    from tiny_models import tiny_encoder

    from arxiv_nbclf.data.papers import read_papers
    from arxiv_nbclf.data.synthetic import sample
    from arxiv_nbclf.preprocessing import paper_texts

    folder = tmp_path_factory.mktemp("encoder")
    tiny_encoder(folder, paper_texts(read_papers(sample(100, seed=1)).papers), layers=1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """Where one process and two have trained by both recipes, and once more, killed in the middle and taken up again."""
    out = tmp_path_factory.mktemp("trained")
    (out / "fit.py").write_text(SCRIPT)
    done = start(out / "fit.py", out, encoder)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize("recipe", ["fast", "original"])
def test_two_processes_train_what_one_does(trained: Path, recipe: str) -> None:
    alone, first, second = (np.load(trained / f"{recipe}_{name}.npy") for name in ("1_0", "2_0", "2_1"))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, atol=1e-4)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_training_ends_as_if_it_had_not_been(trained: Path, processes: int) -> None:
    resumed, whole = (np.load(trained / f"{name}_{processes}_0.npy") for name in ("resumed", "fast"))
    np.testing.assert_array_equal(resumed, whole)
    assert len(list((trained / f"work_{processes}" / "checkpoints").glob("checkpoint-*"))) <= 2


def test_torchrun_runs_the_command(tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from arxiv_nbclf.cli import main
    from arxiv_nbclf.data.synthetic import sample

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    table, command = tmp_path / "papers.csv", Path(sys.executable).with_name("arxiv-nbclf")
    sample(300).to_csv(table, index=False)
    settings = "epochs=2 max_length=64 learning_rate=0.003 tokens_per_batch=1024".split()
    asked = ["--family", "finetuned", "--encoder", encoder, "--split", "stable", *(word for one in settings for word in ("--set", one))]
    assert main(["run", str(table), "--out", str(tmp_path / "one"), *map(str, asked)]) == 0
    done = start(command, "run", table, "--out", tmp_path / "two", *asked, processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "papers.csv", "two"]  # nothing besides a folder for each
    alone, shared = (json.loads((tmp_path / name / "report" / "report.json").read_text()) for name in ("one", "two"))
    epochs = [json.loads((tmp_path / name / "model" / "bundle.json").read_text()) for name in ("one", "two")]
    assert [record["fitted"]["processes"] for record in epochs] == [1, 2]
    for key in ("accuracy", "macro_f1", "weighted_f1", "log_loss"):
        assert alone[key] == pytest.approx(shared[key], abs=0.02), key
