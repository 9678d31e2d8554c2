#!/bin/sh
# prepare.sh HOST: make what compose.yaml needs, in deploy/state and .env; HOST is the name or address that devices reach this machine by.
#
# Secrets and passwords that are there already stay as they are. Everything belongs to who runs this (as root: to user 10001), and the
# containers run as that user.
set -eu

[ $# -eq 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
state=deploy/state
uid=$(id -u) gid=$(id -g)
[ "$uid" != 0 ] || uid=10001 gid=10001
umask 077
mkdir -p $state/secrets $state/taps/left $state/backups $state/prometheus $state/grafana
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
secret() { [ -e "$state/secrets/$1" ] || printf %s "$2" > "$state/secrets/$1"; }

secret postgres_password "$(random)"
secret replication_password "$(random)"
secret grafana_password "$(random)"
secret program_password "$(random)"
if [ ! -e $state/secrets/owner_database_url ]; then # two roles: the programs' own, made by `migrate`, may only add to books and audit log
    hosts=$(sed -n 's/.*@\(.*\)/\1/p' $state/secrets/database_url 2>/dev/null || true)
    hosts=${hosts:-postgres:5432/tapwire}
    printf %s "postgresql://tapwire_program:$(cat $state/secrets/program_password)@$hosts" > $state/secrets/database_url
    printf %s "postgresql://tapwire:$(cat $state/secrets/postgres_password)@$hosts" > $state/secrets/owner_database_url
fi
export BROKER_USER="$uid"
AS=/etc/tapwire/broker broker-config/install.sh $state/broker tls
[ -e $state/ca/tls/server.crt ] || broker-config/certificates.sh $state/ca server "$1" mosquitto localhost
[ -e $state/secrets/core_broker_url ] || broker-config/accounts.sh $state/broker mqtts://mosquitto:8884 $state/secrets
case $1 in *:*) host="[$(printf %s "$1" | tr -d '[]')]" ;; *) host=$1 ;; esac # as a URL has an address of IPv6
others=$(grep -v -E '^TAPWIRE_(HOST|UID|GID)=' .env 2>/dev/null || true)
printf 'TAPWIRE_HOST=%s\nTAPWIRE_UID=%s\nTAPWIRE_GID=%s\n%s\n' "$host" "$uid" "$gid" "$others" > .env
[ "$(id -u)" != 0 ] || chown -R "$uid:$gid" $state
echo "Ready for: docker compose up -d --build"
