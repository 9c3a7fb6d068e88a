#!/bin/sh
# Makes the image from a build on this machine, without a daemon and without a download:
#
#   packaging/container/build.sh [BUILD_DIR [FILE]]
#
# FILE is the OCI archive that is written, build/tcp-sniffer-image.tar by default; `podman load -i`,
# `skopeo copy oci-archive:FILE …` and `ctr images import` read it. The image is that of Dockerfile:
# this takes its last stage, and make_root.sh gives both the files. Needs buildah, libcap2-bin,
# ca-certificates, and root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${1:-$root/build/release}
archive=${2:-$root/build/tcp-sniffer-image.tar}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/context"
"$here/make_root.sh" "$build/tcp-sniffer" "$folder/context/image"
sed -n '/^FROM scratch$/,$p' "$here/Dockerfile" |
  sed 's|^COPY --from=build /image /$|COPY image /|' >"$folder/Dockerfile"
grep -q '^COPY image /$' "$folder/Dockerfile" || {
  echo "build.sh: the last stage of Dockerfile has no COPY --from=build /image /" >&2
  exit 1
}

# Of its own, so that nothing stays behind; vfs needs no kernel module.
store="--root $folder/store --runroot $folder/run --storage-driver vfs"
# shellcheck disable=SC2086
buildah $store build --quiet --isolation chroot --format oci -f "$folder/Dockerfile" \
  -t tcp-sniffer "$folder/context" >/dev/null
rm -f "$archive"
# shellcheck disable=SC2086
buildah $store push --quiet tcp-sniffer "oci-archive:$archive:tcp-sniffer:latest"
echo "$archive"
