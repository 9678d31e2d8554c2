#!/bin/sh
# pin-images.sh: pin every image that compose.yaml and the Dockerfile start from by digest, as its tag is now, in .env.
#
# compose.yaml names the versions; a tag can be moved by whoever owns it, a digest can't. Run it again to follow a tag. Needs docker.
set -eu

[ $# -eq 0 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
umask 077
trap 'rm -f .env.new' EXIT
{ grep -v -E '^TAPWIRE_[A-Z]+_IMAGE=' .env 2>/dev/null || true; } > .env.new
images=$(sed -n 's/.*[{]\(TAPWIRE_[A-Z]*_IMAGE\):-\([^}]*\)}.*/\1=\2/p' compose.yaml | sort -u)
for image in $images; do
    digest=$(docker buildx imagetools inspect "${image#*=}" --format '{{.Manifest.Digest}}')
    case $digest in sha256:*) ;; *) echo "pin-images.sh: no digest of ${image#*=}, but: $digest" >&2; exit 1 ;; esac
    echo "$image@$digest" | tee -a .env.new
done
mv .env.new .env
