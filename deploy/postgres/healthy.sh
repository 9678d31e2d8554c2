#!/bin/bash
# Exit 0 if this PostgreSQL does its work: a primary on which commits don't wait for a standby that is away, or a standby that follows.
set -euo pipefail

export PGCONNECT_TIMEOUT=8 PGOPTIONS='-c statement_timeout=8s'
[ "$(psql --no-psqlrc --tuples-only --no-align -U "${POSTGRES_USER:-tapwire}" -d "${POSTGRES_DB:-tapwire}" <<'SQL'
SELECT CASE
    WHEN pg_is_in_recovery() THEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
    ELSE current_setting('synchronous_standby_names') = ''
        OR EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))
END
SQL
)" = t ] || { echo 'the standby does not follow'; exit 1; }
