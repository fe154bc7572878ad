#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A registry behind TLS of a private authority, whose blobs are redirected to another host by a signed address.
. "$(dirname "$0")/lib.sh"

start_registry
digest=$(push team/tools "$oci_gzip" "$data/layer.tar.gz")
upstream=$registry
front=$(free_port) storage=$(free_port)

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca \
  -keyout "$T/ca.key" -out "$T/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$T/key.pem" \
  -out "$T/request.pem" 2>/dev/null
openssl x509 -req -in "$T/request.pem" -CA "$T/ca.pem" -CAkey "$T/ca.key" -CAcreateserial -days 2 -out "$T/cert.pem" \
  -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null

mkdir "$T/nginx"
cat >"$T/nginx.conf" <<CONF
daemon off;
pid $T/nginx/pid;
error_log $T/nginx/error.log;
events {}
http {
  access_log off;
  log_format ours '\$request_uri "\$http_authorization" \$status';
  client_body_temp_path $T/nginx/1;
  proxy_temp_path $T/nginx/2;
  fastcgi_temp_path $T/nginx/3;
  uwsgi_temp_path $T/nginx/4;
  scgi_temp_path $T/nginx/5;
  ssl_certificate $T/cert.pem;
  ssl_certificate_key $T/key.pem;
  server {
    listen 127.0.0.1:$front ssl;
    location ~ ^/v2/.*/blobs/ { return 307 https://127.0.0.1:$storage\$uri?signature=a%2Fb%3D; }
    location / { proxy_pass http://$upstream; proxy_set_header Host \$http_host; }
  }
  server {
    listen 127.0.0.1:$storage ssl;
    access_log $T/nginx/storage.log ours;
    location / {
      if (\$request_uri !~ "signature=a%2Fb%3D\$") { return 403; }
      proxy_pass http://$upstream\$uri;
    }
  }
}
CONF
nginx -c "$T/nginx.conf" -e "$T/nginx/error.log" &
pids+=("$!")
wait_until 10 answers "https://localhost:$front/v2/"

tls() { # [LINE…]: a definition with these lines in [registry]
  define "localhost:$front/team/tools:1.0" 'platform = "linux/amd64"' "layer = \"$digest\"" \
    "tarindex = \"$data/layer.erofs\"" "zinfo = \"$data/layer.zinfo\"" '[registry]' "$@"
}

tls
code=0
"$BIN/erofs-oci" check --online "$T/$name.toml" >"$T/check.out" 2>"$T/check.err" || code=$?
((code == 1)) || die "exit code $code for a certificate that nobody vouches for"
grep -qiE 'certificate|SSL|TLS' "$T/check.err" || die "it does not speak of the certificate: $(<"$T/check.err")"
ok "an unknown authority is refused: $(tail -n 1 "$T/check.err")"

tls "ca = \"$T/ca.pem\""
golden_device "$T/want"
start_export
nbdcopy "$uri" "$T/copy"
stop_export
same_start "$T/want" "$T/copy"
grep -q ' 206$' "$T/nginx/storage.log" || die 'the second host served no range'
! grep -q ' 403$' "$T/nginx/storage.log" || die 'a signature was lost'
ok "every byte through TLS and $(grep -c ' 206$' "$T/nginx/storage.log") redirected ranges"
