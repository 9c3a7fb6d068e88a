#!/bin/sh
# Makes the folder ROOT that is the whole image: make_root.sh PROGRAM ROOT
#
# The program without symbols, the libraries that it is linked with or loads, the dynamic loader, the
# certificates of public authorities, its licence, and an account. Needs the right to set file
# capabilities (CAP_SETFCAP).
set -eu
program=$1
root=$2
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "make_root.sh: $*" >&2
  exit 1
}

mkdir -p "$root/usr/bin" "$root/etc" "$root/usr/share/doc/tcp-sniffer"
strip -o "$root/usr/bin/tcp-sniffer" "$program" || fail "$program cannot be stripped"
chmod 0755 "$root/usr/bin/tcp-sniffer"

# Loaded for an output to Kafka.
kafka=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p |
  sed -n 's|^[[:space:]]*librdkafka\.so\.1 .*=> ||p' | head -1)
[ -n "$kafka" ] || fail "librdkafka.so.1 is not installed"

# "libpcap.so.0.8 => /lib/x86_64-linux-gnu/libpcap.so.0.8 (0x…)", and the loader without an arrow.
needed=$(ldd "$program" "$kafka")
case $needed in
  *"not found"*) fail "a library is missing: $needed" ;;
esac
for file in "$kafka" $(echo "$needed" | sed -n 's|^.*[[:space:]]\(/[^ ]*\) (0x.*|\1|p'); do
  mkdir -p "$root$(dirname "$file")"
  cp --dereference "$file" "$root$file"
  chmod 0755 "$root$file"
done

# For brokers whose certificates are of a public authority. OpenSSL looks at the second place.
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s $certificates ] || fail "ca-certificates is not installed"
mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
cp --dereference $certificates "$root$certificates"
chmod 0644 "$root$certificates"
ln -sfn $certificates "$root/usr/lib/ssl/cert.pem"

echo "tcp-sniffer:x:65532:65532:tcp-sniffer:/:/sbin/nologin" >"$root/etc/passwd"
echo "tcp-sniffer:x:65532:" >"$root/etc/group"
cp "$here/../../LICENSE" "$root/usr/share/doc/tcp-sniffer/copyright"
chmod 0644 "$root/etc/passwd" "$root/etc/group" "$root/usr/share/doc/tcp-sniffer/copyright"

# Permitted and not effective (=p): the program takes the right up itself. With =ep the system would
# refuse to start it in a container without NET_RAW, even to read a file.
setcap cap_net_raw=p "$root/usr/bin/tcp-sniffer" ||
  fail "the capability cannot be set on $root/usr/bin/tcp-sniffer"
