#!/bin/bash
# A standby: copies the primary once, then streams from it for ever. PRIMARY, PASSWORD_FILE and PGDATA may be given.
set -euo pipefail

PRIMARY=${PRIMARY:-host=postgres}
PASSWORD_FILE=${PASSWORD_FILE:-/run/secrets/replication_password}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA"
    PGPASSWORD=$(cat "$PASSWORD_FILE") pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --wal-method=stream \
        --dbname="$PRIMARY user=replicator application_name=standby"
fi
exec postgres -D "$PGDATA" "$@"
