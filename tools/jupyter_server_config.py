"""Clean a notebook as JupyterLab saves it; `make lab` starts with this file, so nothing is written into the home folder."""

from nbdev.clean import clean_jupyter

get_config().FileContentsManager.pre_save_hook = clean_jupyter  # type: ignore[name-defined]  # noqa: F821
