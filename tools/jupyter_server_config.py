"""Clean a notebook as JupyterLab saves it, and offer this repository's kernel; `make lab` starts with this file (tools/lab.sh)."""

from typing import Any

from nbdev.clean import clean_nb
from nbdev.config import get_config as nbdev_config

settings = get_config()  # type: ignore[name-defined]  # noqa: F821


def clean(model: dict[str, Any], **rest: Any) -> None:
    """What `nbdev_clean` does; nbdev's own hook is off by default, and looks for the file in the wrong folder."""
    if model["type"] == "notebook" and model["content"]["nbformat"] == 4:
        nbdev = nbdev_config()
        keys = (nbdev.get(f"allowed_{kind}_keys", "").split() for kind in ("metadata", "cell_metadata"))
        clean_nb(model["content"], nbdev.clear_all, *keys, nbdev.clean_ids)


settings.FileContentsManager.pre_save_hook = clean
settings.KernelSpecManager.allowed_kernelspecs = {"python3"}  # the interpreter of .venv, and none that is installed elsewhere
settings.ServerApp.jpserver_extensions = {"jupyter_lsp": False}  # it calls npm, which writes into the home folder
settings.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
settings.LabApp.news_url = None  # nothing is fetched
