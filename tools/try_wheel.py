"""Try a wheel with its core dependencies alone: `try_wheel.py dist/*.whl [PYTHON] [highest|lowest-direct]`. Needs uv."""

import subprocess
import sys
import tempfile
from pathlib import Path


def try_wheel(wheel: Path, python: str, resolution: str) -> None:
    """Install the wheel into a fresh environment of `python` and run the main commands there."""
    with tempfile.TemporaryDirectory() as folder:
        bin_path = Path(folder) / "env/bin"

        def call(*words: str) -> None:
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        uv = [sys.executable, "-m", "uv"]
        call(*uv, "venv", "--quiet", "--python", python, "env")
        call(*uv, "pip", "install", "--quiet", "--python", str(bin_path / "python"), "--resolution", resolution, str(wheel.resolve()))
        call(str(bin_path / "python"), "-c", "import arxiv_nbclf")
        tool = str(bin_path / "arxiv-nbclf")
        call(tool, "sample", "--rows", "1500", "--out", "papers.csv")
        call(tool, "predict", "papers.csv", "--out", "predictions.csv")
        call(tool, "predict", "papers.csv", "--level", "category", "--out", "categories.csv")
        call(tool, "run", "papers.csv", "--out", "out", "--family", "linear")


if __name__ == "__main__":
    wheel, python, resolution = (sys.argv[1:] + [sys.executable, "highest"][len(sys.argv) - 2 :])[:3]
    try_wheel(Path(wheel), python, resolution)
    print(f"{Path(wheel).name} works on {python}, {resolution} dependencies")
