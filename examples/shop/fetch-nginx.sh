#!/bin/sh
# Puts the nginx of this Debian machine, with its loader and libraries, into a bundle directory.
# usage: fetch-nginx.sh DIRECTORY
set -eu
target=$1
nginx=$(command -v nginx || echo /usr/sbin/nginx)
[ -x "$nginx" ] || { echo "fetch-nginx: no nginx here; apt-get install nginx-light" >&2; exit 1; }
mkdir -p "$target/bin" "$target/lib"
cp -L "$nginx" "$target/bin/nginx"
ldd "$nginx" | while read -r name arrow path rest; do
    case "$name" in
        /*ld-linux*) cp -L "$name" "$target/lib/loader" ;;
        *) [ "$arrow" = "=>" ] && [ -f "$path" ] && cp -L "$path" "$target/lib/$name" ;;
    esac || :
done
