#!/bin/sh
# install.sh FOLDER [tls|certificates|plain]: put the broker's configuration into FOLDER, with its paths and ports.
#
# From the environment: BROKER_USER (who mosquitto becomes when started as root; mosquitto), DEVICE_PORT and SERVICE_PORT (8883 and
# 8884, plain 1883 and 1884), BIND (an address to listen on; all), AS (FOLDER's name where the broker runs, if it has another there).
# Password files that are there already stay as they are.
set -eu

[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
variant=${2:-tls}
[ -f "$here/listeners/$variant.conf" ] || { echo "install.sh: there is no variant $variant: write tls, certificates or plain" >&2; exit 2; }
mkdir -p "$1/listeners" "$1/tls"
folder=$(cd "$1" && pwd)
named=${AS:-$folder}
placed=$(printf %s "$named" | sed 's/[#&\\]/\\&/g')

case $variant in plain) devices=1883 services=1884 ;; *) devices=8883 services=8884 ;; esac
place() {
    sed -e "s#/etc/tapwire/broker#$placed#" \
        -e "s#^user .*#user ${BROKER_USER:-mosquitto}#" \
        -e "s#^listener $devices\$#listener ${DEVICE_PORT:-$devices}${BIND:+ $BIND}#" \
        -e "s#^listener $services\$#listener ${SERVICE_PORT:-$services}${BIND:+ $BIND}#" "$1"
}

umask 077
rm -f "$folder"/listeners/*.conf
place "$here/mosquitto.conf" > "$folder/mosquitto.conf"
place "$here/listeners/$variant.conf" > "$folder/listeners/$variant.conf"
cat "$here/acl" > "$folder/acl"
for file in devices services; do [ -e "$folder/$file" ] || : > "$folder/$file"; done
chmod 755 "$folder"
[ "$(id -u)" != 0 ] || chown "${BROKER_USER:-mosquitto}" "$folder" "$folder"/listeners "$folder"/listeners/* "$folder"/tls "$folder"/mosquitto.conf \
    "$folder"/acl "$folder"/devices "$folder"/services
echo "$folder is ready for: mosquitto -c '$named/mosquitto.conf'"
