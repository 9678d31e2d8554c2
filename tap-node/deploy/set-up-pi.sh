#!/bin/sh
# set-up-pi.sh NAME --api https://HOST [--ca-file FILE] | --settings FOLDER: set up the node of a tap on a Raspberry Pi, as root.
#
# Run it in the folder that `make dist` made, copied to the Pi: it does what docs/tap-node.md says under "First start", and says what it
# does. With --api the node asks for its secret by itself, and an engineer accepts its code. FOLDER is from
# `tapwire-core add-device PATH --folder FOLDER`, copied to the Pi. --driver simulated tries it without parts, mfrc522 is for a desk
# reader. Run again it installs the packages of its folder, and changes no settings that are there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
place=/opt/tapwire etc=/etc/tapwire state=/var/lib/tapwire
name='' api='' authority='' settings='' driver=gpio

say() { echo "set-up-pi: $*"; }
refuse() { say "$*" >&2; exit 2; }
usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
    --api | --ca-file | --settings | --driver)
        [ $# -ge 2 ] || usage
        case $1 in
        --api) api=$2 ;;
        --ca-file) authority=$2 ;;
        --settings) settings=${2%/} ;;
        --driver) driver=$2 ;;
        esac
        shift 2
        ;;
    -*) usage ;;
    *)
        [ -z "$name" ] || usage
        name=$1
        shift
        ;;
    esac
done
file=$etc/$name.toml

# --- what could be wrong, before anything is changed -----------------------------------------------------------------------------

case $name in '' | *[!a-z0-9_-]*) usage ;; esac
case $driver in gpio | simulated | mfrc522) ;; *) refuse "--driver: $driver is none of gpio, simulated, mfrc522" ;; esac
case $api in '' | https://* | http://localhost* | http://127.0.0.1*) ;; *) refuse "--api: write https://HOST" ;; esac
[ -z "$api" ] || [ -z "$settings" ] || refuse 'give --api or --settings, not both'
[ -n "$api$settings" ] || [ -e "$file" ] || refuse "there is no $file yet: give --api or --settings"
[ -z "$settings" ] || [ -e "$settings/tap.toml" ] || refuse "there is no $settings/tap.toml: it comes from tapwire-core add-device --folder"
[ -z "$authority" ] || [ -e "$authority" ] || refuse "there is no $authority"
for package in "$here"/tapwire_contracts-*.whl "$here"/tapwire_node-*.whl "$here/pi.txt"; do
    [ -e "$package" ] || refuse "there is no $package: run this in the folder that make dist made"
done
[ "$(id -u)" = 0 ] || refuse 'run this as root (sudo)'
for ready in "$settings/tap.toml" "$file"; do # settings that are there name their driver
    [ ! -e "$ready" ] || driver=$(sed -n 's/^driver = "\(.*\)".*/\1/p' "$ready")
done
command -v systemctl > /dev/null || refuse 'there is no systemd, which starts the node and closes its valve'

# --- the machine -----------------------------------------------------------------------------------------------------------------

say 'installing what builds the drivers: python3-venv python3-dev gcc libc6-dev swig'
export DEBIAN_FRONTEND=noninteractive
missing=$(dpkg-query -W -f '${Package} ${Status}\n' python3-venv python3-dev gcc libc6-dev swig 2>/dev/null | grep -c 'ok installed' || true)
if [ "$missing" != 5 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-venv python3-dev gcc libc6-dev swig > /dev/null
fi
if [ "$driver" != simulated ] && command -v raspi-config > /dev/null; then
    say 'enabling SPI'
    raspi-config nonint do_spi 0
fi
for group in gpio spi; do
    getent group $group > /dev/null || { say "making the group $group"; groupadd --system $group; }
done
if id tapwire > /dev/null 2>&1; then
    usermod -a -G gpio,spi tapwire
else
    say 'making the user tapwire, who may use only the pins'
    useradd --system --user-group --groups gpio,spi --home-dir $state --shell /usr/sbin/nologin tapwire
fi
install -d -o tapwire -g tapwire -m 750 $state
if [ -e /dev/watchdog ] && [ ! -e /etc/systemd/system.conf.d/watchdog.conf ]; then
    say 'enabling the hardware watchdog, from the next start on: /etc/systemd/system.conf.d/watchdog.conf'
    install -d /etc/systemd/system.conf.d
    printf '[Manager]\nRuntimeWatchdogSec=15\n' > /etc/systemd/system.conf.d/watchdog.conf
fi

# --- the program -----------------------------------------------------------------------------------------------------------------

[ -e $place/bin/pip ] || { say "making $place"; python3 -m venv $place; }
say "installing the packages of $here into $place; this builds drivers, and takes some minutes on a Pi"
pip() { "$place/bin/pip" --disable-pip-version-check --no-input --quiet install --no-deps "$@"; }
PYPI=1 pip --require-hashes -r "$here/pi.txt"
pip "$here"/tapwire_contracts-*.whl "$here"/tapwire_node-*.whl
say "installed $($place/bin/tapwire-node --version)"
$place/bin/tapwire-node install-unit | sed '/^Now:/d; s/^/set-up-pi: /'

# --- the settings ----------------------------------------------------------------------------------------------------------------

owner=root
[ -z "$api" ] || owner=tapwire # pairing writes there
if [ ! -d $etc ]; then install -d -o $owner -g tapwire -m 750 $etc; fi
[ -z "$api" ] || chown tapwire $etc
umask 027
if [ -e "$file" ]; then
    say "$file exists and was not changed"
elif [ -n "$settings" ]; then
    say "writing $file, with the journal in $state"
    sed "s|^file = \"journal.sqlite\"\$|file = \"$state/$name.sqlite\"|" "$settings/tap.toml" > "$file"
    [ ! -e "$settings/ca.crt" ] || install -o root -g tapwire -m 640 "$settings/ca.crt" $etc/ca.crt
else
    say "writing $file: check its pins"
    [ -z "$authority" ] || install -o root -g tapwire -m 644 "$authority" $etc/api-ca.crt
    {
        printf '[journal]\nfile = "%s"\n\n[hardware]\ndriver = "%s"\n' "$state/$name.sqlite" "$driver"
        [ "$driver" != gpio ] || printf 'valve_pin = 17\nmeter_pin = 27\nmeter_pull_up = false\n'
        printf '\n[pairing]\napi = "%s"\n' "$api"
        [ -z "$authority" ] || printf 'ca_file = "api-ca.crt"\n'
    } > "$file"
fi
chown "$owner:tapwire" "$file"
chmod 640 "$file"

# --- the service -----------------------------------------------------------------------------------------------------------------

units="tapwire-node@$name"
[ -z "$api" ] || units="tapwire-pair@$name $units"
say "starting $units, now and with the machine"
# shellcheck disable=SC2086 # one word a unit
systemctl --quiet enable $units
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # shellcheck disable=SC2086
    systemctl start --no-block $units
else
    say 'systemd does not run here: they start with the machine'
fi
if [ -n "$api" ]; then
    say "the pairing code is shown by: systemctl status tapwire-pair@$name"
    say "an engineer enters it in the console: Devices, Pair by code"
fi
say "next: runuser -u tapwire -- $place/bin/tapwire-node doctor --config $file"
if [ "$driver" != simulated ] && [ ! -e /dev/spidev0.0 ]; then
    say 'restart the machine: SPI is not there yet'
fi
