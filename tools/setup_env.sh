#!/usr/bin/env bash
# Makes a virtual environment in which mmpose 1.3.2 and this package work:
#
#   tools/setup_env.sh [VENV]      (default: .venv)
#
# PYTHON names the interpreter; without it the first suitable one is taken. Every step may be
# repeated, so running it again completes an interrupted set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

fail() { echo "set-up: $*" >&2; exit 1; }

# A suitable interpreter runs (a pyenv shim may not) and is one that is tested.
suits() { "$1" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

if [ -n "${PYTHON:-}" ]; then
    suits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.10, 3.11 or 3.12; name one that is"
else
    for PYTHON in python3.11 python3.12 python3.10 python3 ''; do
        if [ -n "$PYTHON" ] && suits "$PYTHON"; then break; fi
    done
    [ -n "$PYTHON" ] || fail "found no Python 3.10, 3.11 or 3.12; install one, or name it: make setup PYTHON=/path/to/python3.11"
fi
command -v "${CC:-gcc}" >/dev/null || fail "found no C compiler, which xtcocotools is built with; install gcc"
"$PYTHON" -c 'import pathlib, sysconfig as s; pathlib.Path(s.get_path("include"), "Python.h").stat()' 2>/dev/null ||
    fail "$PYTHON has no Python.h, which xtcocotools is built with; install its headers (python3-dev)"

# What an interrupted attempt left may have no pip or an interpreter that is gone: begin anew.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "set-up: $("$PYTHON" --version) in $venv (some minutes and about 6 GB, mostly torch)"
    if "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
        "$PYTHON" -m venv --clear "$venv"
    else # Debian packs ensurepip apart; the interpreter's own pip can stand in.
        "$PYTHON" -m venv --clear --without-pip "$venv"
        "$PYTHON" -m pip --python "$venv/bin/python" install --quiet pip
    fi
fi

python=$venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES=10
install() { echo "set-up: $*"; "$python" -m pip install --quiet --constraint constraints.txt "$@"; }

# The order matters: chumpy and xtcocotools are built with what is installed before them. chumpy's build
# imports pip, which an isolated one lacks; xtcocotools' wheels, a cached one too, may be for numpy 1.
install pip setuptools wheel cython numpy
install torch torchvision
install --no-build-isolation chumpy
install --no-build-isolation --no-cache-dir --no-binary xtcocotools xtcocotools
# Without torch in its isolated build, onedl-mmcv comes without compiled ops, in seconds.
install onedl-mmengine onedl-mmcv onedl-mmdetection mmpose six
install pytest pytest-xdist ruff mypy tensorboard
install onnx onnxscript onnxruntime h5py
# openmim's own pins would pull setuptools back to a version that Python 3.12 cannot run.
install click colorama model-index pandas requests rich tabulate
install --no-deps openmim
# On Python 3.11 it asks for numpy>=2.3.2, but runs with 2.2.
install --no-deps trackeval
install --no-deps --no-build-isolation --editable .

# Stock tools (`mim test mmpose ...`) start without okdhp_mm, so its patch has to lie on disk for them.
"$python" -m okdhp_mm doctor --install-mmcv-stand-in
# A machine without a desktop may lack libGL, which opencv-python needs and its twin does not.
"$python" -c 'import cv2' 2>/dev/null || install --force-reinstall --no-deps opencv-python-headless
"$python" -m okdhp_mm doctor || fail "the environment is not in order (see above); remove $venv and run this again"
