#!/bin/sh
# run.sh FOLDER: run mosquitto with FOLDER/mosquitto.conf, and have it read passwords, rules and certificates again when they change.
#
# For a broker that no program beside it can signal, as in a container. The files are FOLDER/devices, services, acl and tls/*.
# It ends when the broker ends, with its exit code.
set -eu

[ $# -eq 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cd "$1"
content() { cat devices services acl tls/* 2>&1 | cksum; }
catches_hup() { # until then the signal would end it
    case $(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$broker/status" 2>/dev/null) in *[13579bBdDfF]) ;; *) return 1 ;; esac
}

known=$(content)
mosquitto -c "$1/mosquitto.conf" &
broker=$!
trap 'kill -TERM "$broker" 2>/dev/null || true' TERM INT
while kill -0 "$broker" 2>/dev/null; do
    now=$(content)
    if [ "$now" != "$known" ] && catches_hup; then
        kill -HUP "$broker"
        known=$now
    fi
    sleep 1 &
    wait $! || true
done
code=0
wait "$broker" || code=$?
exit "$code"
