#!/bin/sh
# Puts Debian's Nginx into the cache for the tests of this crate. Nothing is installed and no service is started.
# usage: fetch-nginx.sh FOLDER
set -eu
folder=$1
[ -x "$folder/usr/sbin/nginx" ] && exit 0
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
cd "$new"
apt-get download -q nginx nginx-common || { apt-get update -q && apt-get download -q nginx nginx-common; }
mkdir root
for package in *.deb; do dpkg-deb --extract "$package" root; done
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv root "$folder"
