#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Basic and Bearer: credentials are found where people keep them, a wrong one is refused in words and never shown, and a
# token that expires while its mount is read costs no read.
. "$(dirname "$0")/lib.sh"

# The invoking user's own files must not decide.
export HOME=$T/home
unset DOCKER_CONFIG REGISTRY_AUTH_FILE CREDENTIALS_DIRECTORY
password='s3cret:with/colon'

htpasswd -Bbn alice "$password" >"$T/htpasswd"
start_registry "auth: {htpasswd: {realm: test, path: $T/htpasswd}}"
push team/tools "$oci_gzip" "$data/layer.tar.gz" --login "alice:$password" >/dev/null

check() { "$BIN/erofs-oci" check --online "$T/$name.toml" >"$T/check.out" 2>"$T/check.err"; }
# refused WORDS-PATTERN
refused() {
  local code=0
  check || code=$?
  ((code == 1)) || die "exit code $code where a refusal was due"
  grep -qiE "$1" "$T/check.err" || die "it does not say $1: $(<"$T/check.err")"
  ! grep -qF "$password" "$T/check.err" "$T/check.out" || die 'it shows the password'
}
login_file() { # FILE USER PASSWORD: docker's config.json
  mkdir -p "$(dirname "$1")"
  jq -n --arg host "$registry" --arg auth "$(printf '%s:%s' "$2" "$3" | base64 -w 0)" '{auths: {($host): {auth: $auth}}}' >"$1"
}

define_golden
refused '401|denied|credential|password|unauthori[sz]ed'
ok 'Basic: refused without credentials'
printf 'alice:%s\n' "$password" >"$T/login"
printf 'credential = "%s"\n' "$T/login" >>"$T/$name.toml"
check
ok 'Basic: a file with username:password that the definition names'
printf 'alice:wrong%s\n' "$password" >"$T/login"
refused '401|denied|credential|password|unauthori[sz]ed'
ok "Basic: a wrong password is refused: $(tail -n 1 "$T/check.err")"

define_golden
mkdir "$T/credentials"
printf 'alice:%s' "$password" >"$T/credentials/$name"
CREDENTIALS_DIRECTORY=$T/credentials check
ok "Basic: the service manager's credential of the mount's name"
login_file "$T/auth.json" alice "$password"
REGISTRY_AUTH_FILE=$T/auth.json check
login_file "$T/docker/config.json" alice "$password"
DOCKER_CONFIG=$T/docker check
login_file "$HOME/.docker/config.json" alice "$password"
check
ok 'Basic: REGISTRY_AUTH_FILE, DOCKER_CONFIG, ~/.docker/config.json'
login_file "$HOME/.docker/config.json" alice wrong
refused '401|denied|credential|password|unauthori[sz]ed'

# Bearer: a front with tokens that last three seconds.
stop_registry
start_registry
upstream=$registry
port=$(free_port)
python3 "$here/token_server.py" "$port" "$registry" "alice:$password" 3 >"$T/token.log" 2>"$T/token.err" &
pids+=("$!")
registry=127.0.0.1:$port
wait_until 10 answers "http://$registry/v2/"
login_file "$HOME/.docker/config.json" alice wrong
define_golden
refused '401|denied|credential|password|unauthori[sz]ed'
ok 'Bearer: a wrong password is refused'
login_file "$HOME/.docker/config.json" alice "$password"
mkdir "$T/tree"
head -c 40000000 /dev/urandom >"$T/tree/random"
mkfs.erofs --quiet "$T/want" "$T/tree"
registry=$upstream push team/image "$oci_erofs" "$T/want" >/dev/null
define "$registry/team/image:1.0" 'platform = "linux/amd64"' 'layer = 0' '[registry]' 'insecure = true'
start_export
: >"$T/token.log"
# Places that nobody read before, seconds apart: each with a token that is no more.
for offset in 10000000 20000000; do
  sleep 4
  python3 "$here/read_nbd.py" "$T/nbd" "$offset" 4096 >"$T/part" || die "the read at $offset failed"
  cmp "$T/part" <(tail -c "+$((offset + 1))" "$T/want" | head -c 4096) || die 'another content'
done
nbdcopy "$uri" "$T/copy"
same_start "$T/want" "$T/copy"
(($(grep -c refused "$T/token.log") >= 2 && $(grep -c granted "$T/token.log") >= 2)) ||
  die "no token was renewed: $(<"$T/token.log")"
ok "Bearer: two tokens of 3 s ran out between reads and were renewed; no failed read"
stop_export
! grep -rqF "$password" "$T"/*.err "$T"/*.out || die 'a program showed the password'
