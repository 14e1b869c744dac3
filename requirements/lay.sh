#!/bin/sh
# Called by `make install TO=FOLDER`: copies what the messenger needs to run into FOLDER, where `make install` then sets up
# .venv/. Only a new folder, an empty one, or one that holds a messenger already is written to.
set -eu
umask 022

to=$1
parts="domain application infrastructure interfaces config requirements pyproject.toml Makefile LICENSE manage.py
docs/protocol.md"

if [ -d "$to" ] && [ -n "$(ls -A "$to")" ] && ! grep -qs '^name = "messenger"$' "$to/pyproject.toml"; then
    echo "$to is not empty and holds no messenger: name another folder, as in make install TO=/opt/messenger" >&2
    exit 1
fi

mkdir -p "$to"
for part in $parts; do
    rm -rf "${to:?}/$part"
    mkdir -p "$(dirname "$to/$part")"
    cp -R "$part" "$to/$part"
    find "$to/$part" -name __pycache__ -type d -prune -exec rm -rf {} +
    # They hold no secret, and the user that runs the messenger must read them, whatever the checkout's modes are.
    chmod -R u=rwX,go=rX "$to/$part"
done

# The copy has no git folder, so it keeps the revision in a file; without git the revision is unknown.
git describe --always --dirty --abbrev=12 --exclude '*' >"$to/REVISION" 2>/dev/null || rm -f "$to/REVISION"
