#!/bin/sh
# members.sh FOLDER NAME=ADDRESS...: what each member of the database cluster (PostgreSQL, Patroni, etcd) needs, in FOLDER/NAME.
#
# FOLDER/NAME/etcd and FOLDER/NAME/patroni belong to /etc/tapwire/cluster on the machine NAME. FOLDER/authority signs their certificates
# and stays where it is. What is there already stays as it is: with one more NAME=ADDRESS it makes that one, and its etcd joins the
# others. From the environment: POSTGRES_VERSION (the newest that is installed here), DAYS (3650, of the certificates), and for members
# that lie elsewhere CLUSTER, DATA, ETCD_DATA, SOCKETS, SUPERUSER, POSTGRES_PORT, PATRONI_PORT, ETCD_PORT and PEER_PORT, in which MEMBER is
# the member's name.
set -eu

[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
umask 077
mkdir -p "$1/authority"
folder=$(cd "$1" && pwd)
shift
for member; do
    case $member in *[!a-z0-9_]*=* | =* | *= | *=*[!A-Za-z0-9.:-]*) ;; *=*) continue ;; esac
    echo "members.sh: $member is no NAME=ADDRESS: a name has a-z, 0-9 and _" >&2
    exit 2
done
version=${POSTGRES_VERSION:-$(ls /usr/lib/postgresql 2> /dev/null | sort -n | tail -n 1)}
[ -n "$version" ] || { echo 'members.sh: POSTGRES_VERSION must name the version on the machines: no PostgreSQL is installed here' >&2; exit 1; }
cluster=${CLUSTER:-/etc/tapwire/cluster}
secret() { [ -e "$folder/authority/$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$folder/authority/$1"; cat "$folder/authority/$1"; }
quiet() { output=$("$@" 2>&1) || { printf '%s\n' "$output" >&2; exit 1; }; }
key() { printf '%s' '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'; }
host() { case $1 in *:*) printf '[%s]' "$1" ;; *) printf %s "$1" ;; esac; } # as a URL has an address of IPv6

# shellcheck disable=SC2046 # the words of key
[ -e "$folder/authority/ca.crt" ] || quiet openssl req -x509 $(key) -days 3650 -subj '/CN=Tapwire database authority' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$folder/authority/ca.key" -out "$folder/authority/ca.crt"

certify() { # FOLDER NAME ADDRESS
    case $3 in *:* | *[!0-9.]*) kind=DNS ;; *) kind=IP ;; esac
    case $3 in *:*) kind=IP ;; esac
    # etcd looks whether a peer's address is in its certificate; on the machine itself that is 127.0.0.1
    printf 'subjectAltName=%s:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$kind" "$3" > "$1/ext"
    # shellcheck disable=SC2046
    quiet openssl req -new $(key) -subj "/CN=$2" -keyout "$1/member.key" -out "$1/csr"
    quiet openssl x509 -req -in "$1/csr" -CA "$folder/authority/ca.crt" -CAkey "$folder/authority/ca.key" -CAcreateserial -sha256 \
        -days "${DAYS:-3650}" -extfile "$1/ext" -out "$1/member.crt"
    rm "$1/csr" "$1/ext"
    cp "$folder/authority/ca.crt" "$1/ca.crt"
}

state=new hosts='' peers=''
for member; do
    name=${member%%=*} address=$(host "${member#*=}")
    [ ! -e "$folder/$name" ] || state=existing # a member beside those that are there joins them
    hosts="$hosts${hosts:+, }\"$address:${ETCD_PORT:-2379}\""
    peers="$peers${peers:+,}$name=https://$address:${PEER_PORT:-2380}"
done
place() { # FILE NAME ADDRESS
    sed -e "s#ADDRESS#$(host "$3")#" -e "s#ETCD_HOSTS#$hosts#" -e "s#INITIAL_CLUSTER#$peers#" \
        -e "s#CLUSTER_STATE#$state#" -e "s#/etc/tapwire/cluster#$cluster#" -e "s#/usr/lib/postgresql/15/#/usr/lib/postgresql/$version/#" \
        -e "s#/var/lib/postgresql/tapwire#${DATA:-/var/lib/postgresql/tapwire}#" -e "s#/var/lib/etcd/tapwire#${ETCD_DATA:-/var/lib/etcd/tapwire}#" \
        -e "s#/var/run/postgresql#${SOCKETS:-/var/run/postgresql}#" -e "s#\(local all\|username:\) postgres#\1 ${SUPERUSER:-postgres}#" \
        -e "s#REPLICATION_PASSWORD#$(secret replication_password)#" -e "s#REWIND_PASSWORD#$(secret rewind_password)#" \
        -e "s#:5432#:${POSTGRES_PORT:-5432}#" -e "s#:8008#:${PATRONI_PORT:-8008}#" \
        -e "s#:2379#:${ETCD_PORT:-2379}#" -e "s#:2380#:${PEER_PORT:-2380}#" -e "s#MEMBER#$2#" "$here/$1"
}
for member; do
    name=${member%%=*} address=${member#*=}
    [ ! -e "$folder/$name" ] || continue
    new=$folder/.new.$name
    rm -rf "$new"
    mkdir -p "$new/etcd" "$new/patroni"
    for part in etcd patroni; do
        certify "$new/$part" "$name" "$address"
        place "$part.yml" "$name" "$address" > "$new/$part/$part.yml"
    done
    cp "$here/etcd.service.conf" "$here/patroni.service.conf" "$new"
    mv "$new" "$folder/$name"
    echo "$folder/$name is ready for $cluster on $address"
done
