#!/bin/sh
# Called by the Makefile: `install.sh run|dev STAMP` makes .venv/ hold what requirements/run.txt or dev.txt pins, and
# touches STAMP when it does.
set -eu

what=$1 stamp=$2

# A name on the PATH is not yet a Python: version managers put up stand-ins that fail when they are called.
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }
if [ -n "${PYTHON:-}" ]; then
    python=$PYTHON
    fits "$python" || { echo "PYTHON=$python is no Python from 3.11 to 3.14." >&2; exit 1; }
else
    for python in python3.13 python3.12 python3.11 python3.14 python3 none; do
        if [ "$python" = none ]; then
            echo "No Python from 3.11 to 3.14 was found: install one (on Debian and Ubuntu: apt-get install python3 python3-venv)." >&2
            exit 1
        fi
        fits "$python" && break
    done
fi

has_pip() { .venv/bin/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }
has_pip || rm -rf .venv

# What generates and checks clients in the tests. Each has a folder of its own, so that it clashes with nothing here.
clients=.venv/clients
install_node_clients() {
    if command -v npm >/dev/null 2>&1; then
        mkdir -p "$clients/node"
        cp tests/clients/package.json tests/clients/package-lock.json "$clients/node/"
        npm ci --prefix "$clients/node" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
    else
        echo "npm is missing, so the tests of TypeScript clients are skipped (on Debian and Ubuntu: apt-get install npm)."
    fi
}
install_python_clients() {
    .venv/bin/python -m venv --without-pip "$clients/python"
    into="$clients/python/bin/python"
    pinned -r requirements/clients.txt
}

# npm takes as long as all of Python's, and needs none of it.
of_node=
if [ "$what" = dev ]; then
    rm -rf "$clients"
    install_node_clients &
    of_node=$!
fi

if ! has_pip; then
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        [ -z "$of_node" ] || wait "$of_node" || true
        rm -rf .venv
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "Python's venv is missing: install python3-venv (on Debian and Ubuntu: apt-get install python3-venv, or python$version-venv)." >&2
        exit 1
    fi
fi

echo "Setting up .venv with $(.venv/bin/python --version) ..."

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input -qq "$@"; }
pinned() { pip ${into:+--python "$into"} install --require-hashes --only-binary :all: $compiled "$@"; }

# What only tests import is compiled when they do: they need a small part of it. The user of a server may not write here.
compiled= into=
[ "$what" = run ] || compiled=--no-compile

[ "$what" = run ] || pinned -r requirements/pip.txt
of_python=
if [ "$what" = dev ]; then
    install_python_clients &
    of_python=$!
fi

pinned -r "requirements/$what.txt" -r requirements/build.txt
pip install --no-deps --no-build-isolation --no-index --editable .
[ -z "$of_node" ] || wait "$of_node"
[ -z "$of_python" ] || wait "$of_python"

mkdir -p "$(dirname "$stamp")"
rm -f "$(dirname "$stamp")/$what"-*
touch "$stamp"
