#!/bin/sh
# JupyterLab on nbs/, with this repository's kernel, and with nbdev's hooks for this clone alone.
# All that Jupyter and IPython keep (settings, workspaces, history, secrets) goes into .venv/lab, nothing into the home folder.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
if git rev-parse --git-dir >/dev/null 2>&1 && ! git config --local --get-all include.path | grep -qxF ../.gitconfig; then
    git config --local --add include.path ../.gitconfig # the merge driver of .gitconfig
fi
export PATH="$root/.venv/bin:$PATH" IPYTHONDIR="$root/.venv/lab/ipython"
export JUPYTER_CONFIG_DIR="$root/.venv/lab/config" JUPYTER_DATA_DIR="$root/.venv/lab/data" JUPYTER_RUNTIME_DIR="$root/.venv/lab/runtime"
exec jupyter lab --config tools/jupyter_server_config.py --ServerApp.root_dir="${NOTEBOOKS:-$root/nbs}" "$@"
