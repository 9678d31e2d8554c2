#!/bin/sh
# standby.sh make [async] | promote: a second PostgreSQL that follows the first one and can take over.
#
# make: (again) from a copy of the primary; from then on a commit counts when both have it, unless async. The data that the standby had
# stay beside the new ones as pgdata.old. promote: stop the primary, let the standby take its place, and make sure that the old one
# doesn't come back as a second primary; then `make` rebuilds the old one as the new standby. docs/operations.md, "Standby".
set -eu

usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
[ -e .env ] || { echo 'standby.sh: run deploy/prepare.sh first' >&2; exit 1; }
value() { sed -n "s/^$1=//p" .env | tail -n 1; }
put() { # NAME [VALUE]: set a line of .env, or take it out
    { grep -v "^$1=" .env || true; [ $# -eq 1 ] || printf '%s=%s\n' "$1" "$2"; } > .env.new
    mv .env.new .env
}
compose() { docker compose --profile standby "$@"; }
ask() { compose exec -T "$1" psql --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -U tapwire -d tapwire -c "$2"; }
await() { # SERVICE QUESTION WHAT: until the answer is t; ten minutes
    tries=300
    until [ "$(ask "$1" "$2" 2>/dev/null)" = t ]; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "standby.sh: $3 takes too long: see docker compose logs $standby" >&2; exit 1; }
        sleep 2
    done
}

umask 077
primary=$(value TAPWIRE_PRIMARY)
primary=${primary:-postgres}
case $primary in postgres) standby=standby ;; standby) standby=postgres ;; *) echo "standby.sh: .env has TAPWIRE_PRIMARY=$primary" >&2; exit 1 ;; esac

case "$*" in
make | 'make async')
    # commits must not wait for a standby that is being made
    put TAPWIRE_STANDBY_NAMES
    compose up -d --no-deps "$primary"
    await "$primary" 'SELECT NOT pg_is_in_recovery()' "the start of $primary"
    ask "$primary" 'ALTER SYSTEM RESET synchronous_standby_names'
    ask "$primary" 'SELECT pg_reload_conf()' > /dev/null
    compose rm --stop --force "$standby"
    # shellcheck disable=SC2016 # PGDATA is the container's
    compose run --rm --no-deps --entrypoint bash "$standby" -c \
        'rm -rf "$PGDATA.new"; [ ! -e "$PGDATA" ] || { rm -rf "$PGDATA.old"; mv "$PGDATA" "$PGDATA.old"; }'
    case ,$(value COMPOSE_PROFILES), in *,standby,*) ;; ,,) put COMPOSE_PROFILES standby ;; *) put COMPOSE_PROFILES "$(value COMPOSE_PROFILES),standby" ;; esac
    compose up -d --no-deps "$standby"
    await "$primary" "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '$standby' AND state = 'streaming')" 'the copy'
    if [ "$*" = make ]; then
        ask "$primary" "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ($standby)'"
        ask "$primary" 'SELECT pg_reload_conf()' > /dev/null
    fi
    again=
    for url in database_url owner_database_url; do
        grep -q 'postgres:5432,standby:5432' "deploy/state/secrets/$url" && continue
        # into the same file, which the containers have mounted
        new=$(sed 's/@postgres:5432/@postgres:5432,standby:5432/' "deploy/state/secrets/$url")
        printf %s "$new" > "deploy/state/secrets/$url"
        again=yes
    done
    [ -z "$again" ] || compose restart --no-deps core admin sync-broker backup
    echo "$standby follows $primary$([ "$*" != make ] || echo '; a commit counts when both have it')."
    ;;
promote)
    await "$standby" 'SELECT pg_is_in_recovery()' "the answer of $standby"
    compose stop "$primary"
    # what it waited for was to follow the other; it has no standby of its own yet
    ask "$standby" 'ALTER SYSTEM RESET synchronous_standby_names'
    ask "$standby" 'SELECT pg_reload_conf()' > /dev/null
    [ "$(ask "$standby" 'SELECT pg_promote(true, 60)')" = t ] || { echo "standby.sh: $standby was not promoted: see docker compose logs $standby" >&2; exit 1; }
    put TAPWIRE_STANDBY_NAMES
    put TAPWIRE_PRIMARY "$standby"
    echo "$standby is the primary. $primary is stopped: deploy/standby.sh make rebuilds it as the standby."
    ;;
*) usage ;;
esac
