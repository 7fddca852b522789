"""The notebooks are tests too: `python -m pytest --cov` runs them with these, and prints how much of the package both have run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif("not config.pluginmanager.hasplugin('_cov')", reason="make test runs the notebooks in a step of their own")
def test_every_notebook_runs() -> None:
    """All of them, as `nbdev_test` does; a failure is printed."""
    done = subprocess.run([sys.executable, "tools/run_notebooks.py"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
