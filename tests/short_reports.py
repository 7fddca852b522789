"""Runs whose report nobody looks at: drawing all of it takes longer than the model of a small table."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from arxiv_nbclf import runs


@contextmanager
def short_reports() -> Iterator[None]:
    """Within it, a report has the sections that its card and a comparison read; decorates a test, too."""
    with patch.object(runs, "SECTIONS", {name: runs.SECTIONS[name] for name in ("confidence_intervals", "categories")}):
        yield
