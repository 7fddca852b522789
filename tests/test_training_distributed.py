"""Fine-tuning with several processes, and in a process that is killed: what a notebook, being one process, cannot show."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

RECIPES = {
    "fast": {"tokens_per_batch": 1024, "patience": 0},
    "original": {"recipe": "original"},
}
SCRIPT = """
import os, sys
import numpy as np, torch
from pathlib import Path
torch.set_num_threads(1)
import arxiv_nbclf.training as training
from arxiv_nbclf.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids
from arxiv_nbclf.synthetic import sample

out, encoder, settings, work, die_after = Path(sys.argv[1]), sys.argv[2], eval(sys.argv[3]), sys.argv[4], float(sys.argv[5])
papers = read_papers(sample(200, seed=1)).papers
labels = label_ids(papers)
if die_after:
    class Deadly(type(training.epoch_log())):
        def on_step_end(self, args, state, control, **kwargs):
            if state.epoch > die_after:
                os._exit(9)
    training.epoch_log = Deadly
model = training.FineTunedClassifier(encoder=encoder, window=48, learning_rate=3e-3, epochs=3, **settings)
model.work_folder = Path(work) if work else None
model.fit(papers[:160], labels[:160], validation=(papers[160:], labels[160:]))
np.save(out / f"scores_{os.environ.get('RANK', '0')}.npy", model.decision_function(papers))
"""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder without dropout: random numbers differ between processes, and that is not what is looked at."""
    from arxiv_nbclf.encoders import tiny_encoder
    from arxiv_nbclf.papers import read_papers
    from arxiv_nbclf.preprocessing import paper_texts
    from arxiv_nbclf.synthetic import sample

    folder = tmp_path_factory.mktemp("encoder")
    tiny_encoder(folder, paper_texts(read_papers(sample(200, seed=1)).papers), layers=1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}))
    return folder


def fit(
    out: Path,  # scores are written there
    encoder: Path,
    recipe: str,
    processes: int = 1,
    work: Path | None = None,
    die_after: float = 0.0,  # epochs
) -> subprocess.CompletedProcess:
    """Fine-tune in processes of their own."""
    out.mkdir(exist_ok=True)
    (out / "fit.py").write_text(SCRIPT)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    arguments = [out / "fit.py", out, encoder, repr(RECIPES[recipe]), work or "", die_after]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *torchrun, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=quiet)


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_train_what_one_does(tmp_path: Path, encoder: Path, recipe: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for out, processes in ((one, 1), (two, 2)):
        done = fit(out, encoder, recipe, processes)
        assert done.returncode == 0, done.stderr[-3000:]
    first, second = (np.load(two / f"scores_{rank}.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.load(one / "scores_0.npy"), atol=1e-4)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path, encoder: Path, processes: int) -> None:
    whole, again, work = tmp_path / "whole", tmp_path / "again", tmp_path / "work"
    assert fit(whole, encoder, "fast", processes).returncode == 0
    assert fit(again, encoder, "fast", processes, work, die_after=1.5).returncode != 0
    assert not list(again.glob("*.npy")) and len(list((work / "checkpoints").glob("checkpoint-*/whole.json"))) == 1
    done = fit(again, encoder, "fast", processes, work)
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_array_equal(np.load(again / "scores_0.npy"), np.load(whole / "scores_0.npy"))
    assert len(list((work / "checkpoints").glob("checkpoint-*"))) <= 2
