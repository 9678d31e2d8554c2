#!/bin/bash
# server.sh NAME: run this PostgreSQL as the primary, or as a standby that follows it.
#
# PRIMARY (from .env: TAPWIRE_PRIMARY) names the service that is the primary. The other one copies it when it has no data, and keeps a
# replication slot there, so that it finds all it missed when it comes back. A server that has been the primary and is no longer
# refuses to start: two primaries would each take bookings. From the environment: PGDATA, SETTINGS (NAME=VALUE ..., the same for both),
# STANDBY_NAMES (of which standbys a commit waits), REPLICATION_PASSWORD_FILE, PRIMARY_ADDRESS (host=$PRIMARY).
set -euo pipefail

name=${1:?server.sh: name this server}
primary=${PRIMARY:?server.sh: PRIMARY must name the primary}
options=(-c "cluster_name=$name") # by which the primary knows its standby; the copy has another name
for setting in ${SETTINGS:-}; do options+=(-c "$setting"); done
is_standby() { [ -e "$PGDATA/standby.signal" ]; }
has_data() { [ -s "$PGDATA/PG_VERSION" ]; }

if [ "$name" = "$primary" ]; then
    if is_standby; then
        echo "server.sh: $name is the primary by .env, but its data are a standby's: run deploy/standby.sh promote" >&2
        exit 1
    fi
    export PGOPTIONS='-c synchronous_commit=local' # of the clients that make a new database: they don't wait for a standby
    [ -z "${STANDBY_NAMES:-}" ] || options+=(-c "synchronous_standby_names=$STANDBY_NAMES")
    exec docker-entrypoint.sh postgres "${options[@]}"
fi
if has_data && ! is_standby; then
    echo "server.sh: $name was the primary and is no longer ($primary is): deploy/standby.sh make rebuilds it" >&2
    exit 1
fi
if ! has_data; then
    PGPASSWORD=$(cat "${REPLICATION_PASSWORD_FILE:-/run/secrets/replication_password}")
    export PGPASSWORD
    from="${PRIMARY_ADDRESS:-host=$primary} user=replicator connect_timeout=10"
    echo "server.sh: $name copies $primary"
    rm -rf "$PGDATA" "$PGDATA.new"
    psql --quiet "$from replication=true" -c "DROP_REPLICATION_SLOT \"$name\"" 2> /dev/null || true # left by a copy that broke off
    pg_basebackup --pgdata="$PGDATA.new" --write-recovery-conf --wal-method=stream --checkpoint=fast --create-slot --slot="$name" \
        --dbname="$from"
    mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA" "${options[@]}"
