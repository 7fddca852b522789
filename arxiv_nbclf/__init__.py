"""Which of arXiv's eight groups does a paper belong to? Classify papers from title and abstract."""

__version__ = "0.1.0"

# The names that users need, handed on when they are first asked for: importing the package itself imports nothing heavy.
# This is the one file of the package that is written by hand; everything else comes from the notebooks in `nbs/`.

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bulk import predict_stream as predict_stream
    from .classifier import load_classifier as load_classifier
    from .classifier import new_classifier as new_classifier
    from .evaluation import evaluate as evaluate
    from .evaluation import score as score
    from .explanations import explain as explain
    from .exploration import explore as explore
    from .harvesting import harvest as harvest
    from .papers import read_papers as read_papers
    from .prediction import predict as predict
    from .preprocessing import label_ids as label_ids
    from .preprocessing import split_papers as split_papers
    from .runs import run as run
    from .runs import train as train
    from .synthetic import sample as sample
    from .tables import write_table as write_table
    from .taxonomy import ArxivNbclfError as ArxivNbclfError
    from .taxonomy import group_of as group_of

_HOMES = {
    "bulk": ("predict_stream",),
    "classifier": ("load_classifier", "new_classifier"),
    "evaluation": ("evaluate", "score"),
    "explanations": ("explain",),
    "exploration": ("explore",),
    "harvesting": ("harvest",),
    "papers": ("read_papers",),
    "prediction": ("predict",),
    "preprocessing": ("label_ids", "split_papers"),
    "runs": ("run", "train"),
    "synthetic": ("sample",),
    "tables": ("write_table",),
    "taxonomy": ("ArxivNbclfError", "group_of"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
