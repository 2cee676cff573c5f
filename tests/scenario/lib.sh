# For the scenario scripts: a small book, a server on a free port, and short names for calls. Sourced with MH and tmp set.
set -eu
book=$tmp/book
now=${METERHOUSE_TEST_CLOCK:-2026-11-05T10:00:00Z}
export METERHOUSE_TEST_CLOCK=$now

make_book() {
  mkdir -p "$tmp/catalog"
  cat >"$tmp/catalog/all.yaml" <<'Y'
currency: EUR
seller: {name: Testhouse, country: NL, invoice_prefix: T-}
taxes: [{name: vat, label: VAT 21 %, rate: 21 %, category: S}]
meters:
  - {name: calls, event: api.usage, value: n, unit: call, dimensions: [region]}
  - {name: gpu_hours, event: gpu.lease, value: gpus, aggregation: integral, over: hour, unit: GPU-hour, series: lease}
plans:
  - name: p
    prices: [{meter: calls, price: 0.10}, {meter: gpu_hours, price: 2.50}]
customers:
  - {id: acme, name: Acme, country: NL, tax: vat, plan: p}
  - {id: bolt, name: Bolt, country: NL, plan: p}
  - {id: crow, name: Crow, country: NL, plan: p}
Y
  operator=$("$MH" key create --data "$book" --catalog "$tmp/catalog" --role operator)
  acme_key=$("$MH" key create --data "$book" --role customer --customer acme)
  investor=$("$MH" key create --data "$book" --role investor)
}

start() {
  : >"$tmp/serve.out"
  "$MH" serve --data "$book" --listen 127.0.0.1:0 "$@" >"$tmp/serve.out" 2>"$tmp/serve.err" &
  server=$!
  trap 'kill $server 2>/dev/null || true' EXIT
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    url=$(sed -n 's|^meterhouse: \(http://[^/]*\)/.*|\1|p' "$tmp/serve.out")
    [ -n "$url" ] && return 0
    sleep 0.25
  done
  cat "$tmp/serve.err"
  exit 1
}

stop() {
  kill -TERM $server
  wait $server
  trap - EXIT
}

# call METHOD PATH [curl options]: the body goes to $tmp/body, the status to $status
call() {
  method=$1 path=$2
  shift 2
  status=$(curl -s -o "$tmp/body" -D "$tmp/head" -w '%{http_code}' -X "$method" "$@" "$url$path")
}
as() { printf 'authorization: Bearer %s' "$1"; }
want() { [ "$status" = "$1" ] || { echo "status $status, expected $1"; cat "$tmp/body"; exit 1; }; }
has() { grep -qF -- "$1" "$tmp/body" || { echo "missing: $1"; cat "$tmp/body"; exit 1; }; }
has_not() { ! grep -qF -- "$1" "$tmp/body" || { echo "should not be there: $1"; cat "$tmp/body"; exit 1; }; }
event() { printf '{"specversion":"1.0","id":"%s","source":"test","type":"api.usage","subject":"%s","time":"%s","data":{"n":%s,"region":"eu"}}' "$1" "$2" "$3" "$4"; }
post_event() { call POST /api/v1/events -H "$(as "$operator")" -H 'content-type: application/cloudevents+json' -d "$(event "$@")"; }
