#!/bin/sh
# install.sh FOLDER SECRETS [tls|plain]: put RabbitMQ's configuration into FOLDER/conf.d and its list of plugins into FOLDER.
#
# FOLDER is /etc/rabbitmq on Debian. SECRETS gets broker_logins_secret and broker_api_url, the settings of `tapwire-core
# broker-logins`, which the group of SECRETS may read; files that are there stay, so that all members of a cluster have the same. From the
# environment: MEMBERS (names of the members, as in their certificates, for broker_api_url; localhost), MQTT_PORT (8883, plain 1883),
# API_PORT (15671, plain 15672), BIND (an address to listen on for MQTT; all), LOGINS (where broker-logins listens; 127.0.0.1:8085),
# BROKER_USER (rabbitmq).
set -eu

[ $# -ge 2 ] && [ $# -le 3 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
variant=${3:-tls}
[ -f "$here/listeners/$variant.conf" ] || { echo "install.sh: there is no variant $variant: write tls or plain" >&2; exit 2; }
umask 077
mkdir -p "$1" "$1/conf.d" "$2"
folder=$(cd "$1" && pwd)
placed=$(printf %s "$folder" | sed 's/[#&\\]/\\&/g')
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
case $variant in plain) mqtt=1883 api=15672 scheme=http ;; *) mqtt=8883 api=15671 scheme=https ;; esac

[ -s "$2/broker_logins_secret" ] || random > "$2/broker_logins_secret"
if [ ! -s "$2/broker_api_url" ]; then
    password=$(random) urls=
    for member in ${MEMBERS:-localhost}; do urls=$urls${urls:+,}$scheme://tapwire:$password@$member:${API_PORT:-$api}; done
    echo "$urls" > "$2/broker_api_url"
fi
for file in broker_logins_secret broker_api_url; do
    [ "$(id -u)" = 0 ] || break
    chgrp "$(stat -c %g "$2")" "$2/$file"
    chmod 640 "$2/$file"
done
secret=$(cat "$2/broker_logins_secret")

cat "$here/tapwire.conf" "$here/listeners/$variant.conf" | sed \
    -e "s#/etc/rabbitmq#$placed#" \
    -e "s#127\\.0\\.0\\.1:8085/LOGINS_SECRET#${LOGINS:-127.0.0.1:8085}/$secret#" \
    -e "s#^\\(mqtt\\.listeners\\..*\\) = $mqtt\$#\\1 = ${BIND:+$BIND:}${MQTT_PORT:-$mqtt}#" \
    -e "s#^\\(management\\..*port\\) = $api\$#\\1 = ${API_PORT:-$api}#" > "$folder/conf.d/tapwire.conf.new"
mv "$folder/conf.d/tapwire.conf.new" "$folder/conf.d/tapwire.conf"
cat "$here/enabled_plugins" > "$folder/enabled_plugins"
chmod 755 "$folder" "$folder/conf.d"
chmod 644 "$folder/enabled_plugins"
[ "$(id -u)" != 0 ] || chown "${BROKER_USER:-rabbitmq}" "$folder/conf.d/tapwire.conf" "$folder/enabled_plugins"
echo "$folder is ready for RabbitMQ; the settings of broker-logins are in $2."
