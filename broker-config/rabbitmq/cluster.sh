#!/bin/sh
# cluster.sh FOLDER OWN MEMBER MEMBER MEMBER...: make the RabbitMQ of FOLDER, /etc/rabbitmq on Debian, a member of a cluster.
#
# After install.sh. OWN is the name of this member, MEMBER that of each, OWN among them, the same on every machine: rabbit@192.0.2.11.
# From the environment: BROKER_USER (rabbitmq).
set -eu

[ $# -ge 5 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 own=$2
shift 2
case " $* " in *" $own "*) ;; *) echo "cluster.sh: $own is none of the members $*" >&2; exit 2 ;; esac
umask 022
mkdir -p "$folder/conf.d"
{
    cat "$here/cluster.conf"
    number=0
    for member; do
        number=$((number + 1))
        echo "cluster_formation.classic_config.nodes.$number = $member"
        [ "$member" = "$own" ] || echo "cluster_partition_handling.pause_if_all_down.nodes.$number = $member"
    done
} > "$folder/conf.d/tapwire-cluster.conf.new"
mv "$folder/conf.d/tapwire-cluster.conf.new" "$folder/conf.d/tapwire-cluster.conf"
cat "$here/advanced.config" > "$folder/advanced.config"
[ "$(id -u)" != 0 ] || chown "${BROKER_USER:-rabbitmq}" "$folder/conf.d/tapwire-cluster.conf" "$folder/advanced.config"
echo "$folder is ready for the member $own of $# members."
