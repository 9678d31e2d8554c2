#!/bin/sh
# accounts.sh FOLDER URL SECRETS: new passwords for core, admin, operator and home at the broker in FOLDER.
#
# URL is where they find the broker, such as mqtts://broker.example:8884; several are separated by commas. SECRETS gets one file each
# with the whole URL for TAPWIRE_BROKER_URL_FILE (core_broker_url, admin_broker_url), operator_password for mosquitto_sub,
# home_password for Home Assistant, and share_group for TAPWIRE_SHARE_GROUP_FILE, which the group of SECRETS may read. Reload the broker
# afterwards. From the environment: BROKER_USER (whose the folder is).
set -eu

[ $# -eq 3 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
hash_passwords() { # either writes the same form
    if command -v mosquitto_passwd >/dev/null; then mosquitto_passwd -U "$1"; else tapwire-core hash-logins "$1" >/dev/null; fi
}
command -v mosquitto_passwd >/dev/null || command -v tapwire-core >/dev/null ||
    { echo 'accounts.sh: neither mosquitto_passwd nor tapwire-core is there to hash passwords: install one' >&2; exit 1; }
addresses=$(printf %s "$2" | tr , ' ')
for address in ${addresses:-none}; do
    case $address in mqtt://?* | mqtts://?*) ;; *) echo 'accounts.sh: write mqtts://HOST:PORT or mqtt://HOST:PORT' >&2; exit 2 ;; esac
done
mkdir -p "$1"
umask 077
mkdir -p "$3"
with_login() { # NAME:PASSWORD : each address with it
    urls=
    for address in $addresses; do urls=$urls${urls:+,}${address%%://*}://$1@${address#*://}; done
    echo "$urls"
}
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

: > "$1/services.new"
for name in core admin operator home; do
    password=$(random)
    echo "$name:$password" >> "$1/services.new"
    case $name in
    operator | home) echo "$password" > "$3/${name}_password" ;;
    *) with_login "$name:$password" > "$3/${name}_broker_url" ;;
    esac
done
random > "$3/share_group"
for file in core_broker_url admin_broker_url operator_password home_password share_group; do
    [ "$(id -u)" = 0 ] || break
    chgrp "$(stat -c %g "$3")" "$3/$file"
    chmod 640 "$3/$file"
done
hash_passwords "$1/services.new"
[ "$(id -u)" != 0 ] || chown "${BROKER_USER:-$(stat -c %u "$1")}" "$1/services.new"
mv "$1/services.new" "$1/services"
echo "Accounts core, admin, operator and home are new; their secrets are in $3."
