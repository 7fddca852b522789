"""The same papers give the same bundle, to the last byte, whatever vector instructions the processor has."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIT = """
import sys
from arxiv_nbclf import label_ids, read_papers, sample
from arxiv_nbclf.deployment.prediction import CompactClassifier
papers = read_papers(sample(900, seed=5)).papers
CompactClassifier(bits=12).fit(papers, label_ids(papers)).save(sys.argv[1])
"""
# other code paths of numpy's logarithms and exponentials, and of the matrix products
PROCESSORS = {
    "as it is": {},
    "without AVX-512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"},
    "without AVX2": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "other products": {"OPENBLAS_CORETYPE": "Haswell"},
}


def digests(folder: Path) -> dict[str, str]:
    """Each file of a bundle, by its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@pytest.mark.skipif(
    sys.platform != "linux", reason="the variables are for builds of Linux"
)
def test_a_fit_is_the_same_on_other_processors(tmp_path: Path) -> None:
    """Weights, calibration and thresholds are equal under other vector instructions."""
    found = {}
    for number, (name, variables) in enumerate(PROCESSORS.items()):
        out = tmp_path / str(number)
        environment = (
            os.environ
            | variables
            | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        )
        subprocess.run(
            [sys.executable, "-c", FIT, str(out)],
            env=environment,
            check=True,
            capture_output=True,
            timeout=300,
        )
        found[name] = digests(out)
    assert all(made == found["as it is"] for made in found.values()), found
