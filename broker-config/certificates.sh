#!/bin/sh
# certificates.sh FOLDER server HOST... | renew | device PATH | revoke PATH: certificates of an authority of our own.
#
# server: FOLDER/tls/ca.crt (once) and server.crt for these names and addresses. renew: a new server.crt for the same ones. device: FOLDER/authority/devices/PATH.crt and .key,
# with the device's path as common name. revoke: put a device's certificate on FOLDER/tls/revoked.crl. The broker needs FOLDER/tls;
# FOLDER/authority may be kept on another machine. From the environment: BROKER_USER (who may read tls/; who may read it now, else
# mosquitto), DAYS (825).
set -eu

usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }
[ $# -ge 3 ] || [ "$#,${2:-}" = 2,renew ] || usage
umask 077
reader=${BROKER_USER:-$(stat -c %u "$1/tls/server.key" 2>/dev/null || echo mosquitto)}
mkdir -p "$1/authority/devices" "$1/tls"
cd "$1/authority"
step=$2
shift 2

prepare() {
    [ -e ca.crt ] && return
    cat > ca.conf <<'END'
[ca]
default_ca = ours
[ours]
database = issued
new_certs_dir = .
serial = serial
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_crl_days = 3650
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
string_mask = utf8only
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
    : > issued
    quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -config ca.conf \
        -extensions authority -subj '/CN=Tapwire broker authority' -keyout ca.key -out ca.crt
    list_revoked
}

list_revoked() { quiet openssl ca -config ca.conf -gencrl -out revoked.crl; }

issue() { # FILES COMMON-NAME EXTENSIONS
    printf '%s\n' "$3" > "$1.ext"
    # a slash in a subject must be escaped
    quiet openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config ca.conf \
        -subj "/CN=$(printf %s "$2" | sed 's#/#\\/#g')" -keyout "$1.key" -out "$1.csr"
    quiet openssl ca -batch -config ca.conf -days "${DAYS:-825}" -notext -rand_serial -in "$1.csr" -extfile "$1.ext" -out "$1.crt"
    rm -f "$1.csr" "$1.ext"
}

quiet() { # openssl tells its life on stderr; it matters only when it fails
    "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }
}

give_broker() { # FILE... : as new files, so that a running broker never reads half of one
    for file in "$@"; do
        cp "$file" "../tls/$file.new"
        [ "$file" = ca.crt ] && chmod 644 "../tls/$file.new"
        mv "../tls/$file.new" "../tls/$file"
    done
    chmod 755 ../tls
    [ "$(id -u)" != 0 ] || chown -R "$reader" ../tls
}

files_of() { printf 'devices/%s' "$(printf %s "$1" | tr / _)"; }

prepare
case $step in
server | renew)
    names=
    if [ "$step" = renew ]; then
        names=$(openssl x509 -in ../tls/server.crt -noout -ext subjectAltName | sed -n '2{s/IP Address:/IP:/g; s/ //g; p;}')
        [ -n "$names" ] || { echo "certificates.sh: $(dirname "$PWD")/tls/server.crt names no host: use server HOST..." >&2; exit 1; }
        set -- "$(expr "$names" : '[A-Z]*:\([^,]*\)')"
    fi
    for host in "$@"; do
        [ "$step" = server ] || break
        host=${host#[}
        host=${host%]}
        case $host in *:*) kind=IP ;; *[!0-9.]*) kind=DNS ;; *) kind=IP ;; esac
        names="$names${names:+,}$kind:$host"
    done
    issue server "$1" "subjectAltName = $names
extendedKeyUsage = serverAuth
basicConstraints = CA:FALSE"
    give_broker ca.crt revoked.crl server.key server.crt
    echo "The broker's certificate is for $names."
    ;;
device)
    issue "$(files_of "$1")" "$1" "extendedKeyUsage = clientAuth
basicConstraints = CA:FALSE"
    echo "$PWD/$(files_of "$1").crt is for $1."
    ;;
revoke)
    quiet openssl ca -config ca.conf -revoke "$(files_of "$1").crt"
    list_revoked
    give_broker revoked.crl
    echo "$1 is revoked; start the broker again."
    ;;
*) usage ;;
esac
