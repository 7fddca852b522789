"""What no notebook can tell about the package as a whole: that it is light to import, and that one place says each thing."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import arxiv_nbclf

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "matplotlib", "sklearn", "pandas")


def test_import_is_light() -> None:
    code = f"import sys, arxiv_nbclf; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_version_is_that_of_settings() -> None:
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    assert arxiv_nbclf.__version__ == settings["DEFAULT"]["version"]


def test_quarto_settings_are_one_file() -> None:
    link = ROOT / "nbs" / "_quarto.yml"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "_quarto.yml"
