"""Where a figure comes from: what every result should say, so that a reader can judge it and repeat it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def origin(
    more: dict[str, str] | None = None,  # versions of other libraries that the figure depends on
) -> dict[str, Any]:  # command (files by their names alone), date (UTC), machine, versions
    """What to add to a result."""
    from arxiv_nbclf.core.basics import (  # late: some benchmarks measure what is imported
        machine,
        versions,
    )

    words = [Path(word).name if Path(word).exists() else word for word in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions() | (more or {}),
    }
