#!/bin/bash
# Runs a replica of the database that the options name. It is copied first, unless there is a copy already.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # an earlier attempt may have been interrupted
    rm -rf "${PGDATA:?}"
    pg_basebackup --pgdata "$PGDATA" --write-recovery-conf --checkpoint fast "$@"
fi
exec postgres
