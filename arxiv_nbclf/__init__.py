"""Which of arXiv's eight groups does a paper belong to? Classify papers from title and abstract."""

__version__ = "0.1.0"

# The names that users need, imported when they are first used: importing the package itself imports nothing heavy.
# This is the one file of the package that is written by hand; everything else comes from the notebooks in `nbs/`.

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifiers.base import load_classifier as load_classifier
    from .classifiers.base import new_classifier as new_classifier
    from .core.basics import ArxivNbclfError as ArxivNbclfError
    from .data.harvest import harvest as harvest
    from .data.papers import read_papers as read_papers
    from .data.synthetic import sample as sample
    from .data.tables import write_table as write_table
    from .data.taxonomy import group_of as group_of
    from .deployment.bulk import predict_stream as predict_stream
    from .deployment.prediction import predict as predict
    from .evaluation.error_analysis import explain as explain
    from .evaluation.metrics import evaluate as evaluate
    from .evaluation.metrics import score as score
    from .exploration.overview import explore as explore
    from .preprocessing import label_ids as label_ids
    from .preprocessing import split_papers as split_papers
    from .runs import run as run
    from .runs import train as train

_HOMES = {
    "classifiers.base": ("load_classifier", "new_classifier"),
    "core.basics": ("ArxivNbclfError",),
    "data.harvest": ("harvest",),
    "data.papers": ("read_papers",),
    "data.synthetic": ("sample",),
    "data.tables": ("write_table",),
    "data.taxonomy": ("group_of",),
    "deployment.bulk": ("predict_stream",),
    "deployment.prediction": ("predict",),
    "evaluation.error_analysis": ("explain",),
    "evaluation.metrics": ("evaluate", "score"),
    "exploration.overview": ("explore",),
    "preprocessing": ("label_ids", "split_papers"),
    "runs": ("run", "train"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .core.basics import with_full_docs

    # `help` and Shift-Tab show docstrings alone, and the parameters are described by comments
    value = with_full_docs(getattr(import_module(f"{__name__}.{_HOME[name]}"), name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
