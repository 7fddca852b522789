#!/bin/sh
# Build .venv at the root: the package, editable, at the versions of constraints.txt.
#     sh tools/setup.sh run     with what the main job needs: every family of models
#     sh tools/setup.sh         with all extras, the tools of the checks too
# PYTHON names the interpreter; otherwise python3.11, or python3 if it is new enough.
# The stamp holds a digest of all inputs and is written last, so an interrupted build is begun afresh;
# its name holds the folder, because an environment that was moved or copied does not work.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.setup-$(pwd | cksum | cut -d ' ' -f 1)
digest=$(cat settings.ini setup.py pyproject.toml constraints.txt | cksum)
there=$(cat "$stamp" 2>/dev/null || true)

# what has all extras stays so, also where less is asked for
case "${1:-all} $there" in
    *" all $digest" | "run run $digest") exit 0 ;;
    "run all "* | "all "*) kind=all extras=train,offline,diagnose,fast,harvest,ray,serve,dev size="about 3.1 GB, five to ten minutes" ;;
    *) kind=run extras=train,offline,diagnose,fast size="about 2.2 GB, about five minutes" ;;
esac

if [ ! -f "$stamp" ]; then
    chosen=
    for candidate in ${PYTHON:-python3.11 python3}; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            chosen=$candidate
            break
        fi
    done
    if [ -z "$chosen" ]; then
        echo "setup: no Python 3.11 or newer with its venv module among: ${PYTHON:-python3.11 python3}." \
            "Install one, or name it: make setup PYTHON=/path/to/python3" >&2
        exit 2
    fi
    echo "setup: building .venv with $("$chosen" --version), the package and $extras: $size" >&2
    rm -rf .venv
    "$chosen" -m venv .venv
else
    echo "setup: bringing .venv up to date, the package and $extras: at most $size" >&2
fi
rm -f "$stamp"
# of what is installed most is never imported: bytecode is made at the first import, which saves a minute, unless none may be written then
lazy=$([ -n "${PYTHONDONTWRITEBYTECODE:-}" ] || echo --no-compile)
# shellcheck disable=SC2086
.venv/bin/python -m pip install --quiet --disable-pip-version-check $lazy --constraint constraints.txt --editable ".[$extras]"
echo "$kind $digest" >"$stamp"
echo "setup: .venv is ready" >&2
