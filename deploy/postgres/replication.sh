#!/bin/bash
# Run once, when the database is made: let the standby stream from it.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/replication_password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'END'
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'password';
END
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
