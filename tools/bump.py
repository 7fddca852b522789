"""Raise the version wherever it stands: `bump.py major|minor|patch`."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {"settings.ini": "version = {}", "arxiv_nbclf/__init__.py": '__version__ = "{}"', "CITATION.cff": "\nversion: {}\n"}


def bump(part: str) -> str:
    """Raise one part of the version, and give what is unreleased in CHANGELOG.md the new version and today's date."""
    if part not in ("major", "minor", "patch"):
        raise SystemExit(f"PART is {part!r}; it must be major, minor or patch")
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in [*PLACES, "CHANGELOG.md"]}
    found = re.search(r"^version = (\d+)\.(\d+)\.(\d+)$", texts["settings.ini"], re.M)
    if not found:
        raise SystemExit("settings.ini: no line 'version = X.Y.Z'")
    major, minor, patch = map(int, found.groups())
    old = f"{major}.{minor}.{patch}"
    new = {"major": f"{major + 1}.0.0", "minor": f"{major}.{minor + 1}.0", "patch": f"{major}.{minor}.{patch + 1}"}[part]
    swaps = {name: (form.format(old), form.format(new)) for name, form in PLACES.items()}
    swaps["CHANGELOG.md"] = ("## [Unreleased]\n", f"## [Unreleased]\n\n## [{new}] - {datetime.now(UTC):%Y-%m-%d}\n")
    for name, (before, _) in swaps.items():
        if texts[name].count(before) != 1:
            raise SystemExit(f"{name}: {before.strip()!r} must stand there once; nothing was changed")
    for name, (before, after) in swaps.items():
        text = texts[name].replace(before, after)
        if name == "CHANGELOG.md":
            text = text.replace("\nTo become 0.1.0.\n", "", 1)
        (ROOT / name).write_text(text, encoding="utf-8")
    return new


if __name__ == "__main__":
    print(bump(sys.argv[1] if len(sys.argv) > 1 else ""))
