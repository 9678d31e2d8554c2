#!/bin/bash
# Run once, when the database is made: let a standby stream from it. The programs' own role is made by `tapwire-core migrate`.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/replication_password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'password';
SQL
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
