# For the scenarios of the gateway: a book that sells tokens of models whose servers the scenario plays. Sourced after
# lib.sh, with s1 and s2 set to the addresses of the servers; a, b, models and settings to more of the catalog. Time passes as it does.
unset METERHOUSE_TEST_CLOCK
json='content-type: application/json'

# 0.001 a token in, 0.0001 from a cache, 0.002 out, 0.003 of thought. The server a of "both" comes first.
make_models() {
  mkdir -p "$tmp/catalog"
  cat >"$tmp/catalog/all.yaml" <<Y
currency: USD
${settings:-}
seller: {name: Testhouse, country: NL, invoice_prefix: T-}
upstreams:
  - {name: a, url: "http://$s1"${a:-}}
  - {name: b, url: "http://${s2:-$s1}"${b:-}}
models:
  - {name: small, upstream: a, context: 8192, max_output: 1000, tiers: [flex, priority]}
  - {name: both, upstreams: [{upstream: a, model: a-own}, {upstream: b, model: b-own, priority: 1}]}
  - {name: vectors, upstream: a, doors: [embeddings]}
  - {name: unsold, upstream: a}
${models:-}
meters:
  - {name: input, event: model.call, value: input_tokens, unit: token, dimensions: [model, service]}
  - {name: cached, event: model.call, value: cached_input_tokens, unit: token, dimensions: [model, service]}
  - {name: output, event: model.call, value: output_tokens, unit: token, dimensions: [model, service]}
  - {name: reasoning, event: model.call, value: reasoning_tokens, unit: token, dimensions: [model, service]}
plans:
  - name: p
    prices:
      - {name: In, meter: input, match: {model: [small, both, vectors, other]}, price: 0.001, multipliers: [{match: {service: flex}, by: 50 %}, {match: {service: priority}, by: 200 %}]}
      - {name: Cached, meter: cached, match: {model: [small, both, vectors, other]}, price: 0.0001}
      - {name: Out, meter: output, match: {model: [small, both, vectors, other]}, price: 0.002, multipliers: [{match: {service: flex}, by: 50 %}, {match: {service: priority}, by: 200 %}]}
      - {name: Thought, meter: reasoning, match: {model: [small, both, vectors, other]}, price: 0.003}
customers:
  - {id: acme, name: Acme, country: NL, plan: p}
  - {id: bolt, name: Bolt, country: NL, plan: p, credit_line: 5}
  - {id: dime, name: Dime, country: NL, plan: p}
  - {id: crow, name: Crow, country: NL, plan: p, credit_line: unlimited}
Y
  operator=$("$MH" key create --data "$book" --catalog "$tmp/catalog" --role operator)
  for customer in acme bolt crow dime; do
    eval "$customer=\$(\"\$MH\" key create --data \"\$book\" --role customer --customer $customer --scope models)"
  done
}

key_of() { "$MH" key create --data "$book" --role customer "$@"; }
# While it is served.
give() { call POST /api/v1/credits -H "$(as "$operator")" -d "{\"customer\":\"$1\",\"kind\":\"prepaid\",\"amount\":\"$2\"}"; want 201; }
# post DOOR KEY BODY [curl options]
post() {
  door=$1 key=$2 body=$3
  shift 3
  call POST "/v1/$door" -H "$(as "$key")" -H "$json" -d "$body" "$@"
}
# chat KEY MORE [curl options]: a short prompt to the model small; MORE is more of the body
chat() {
  key=$1 more=$2
  shift 2
  post chat/completions "$key" "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]$more}" "$@"
}
head_has() { grep -qiE -- "^$1" "$tmp/head" || { echo "no header $1"; cat "$tmp/head"; exit 1; }; }
head_has_not() { ! grep -qiE -- "^$1" "$tmp/head" || { echo "header $1"; cat "$tmp/head"; exit 1; }; }
balance() { call GET "/api/v1/balance?customer=$1" -H "$(as "$operator")"; }
# charged CUSTOMER AMOUNT: what is used and not invoiced, once nothing is held
charged() {
  balance "$1"
  has "\"unbilled\":\"$2\""
  has "\"held\":\"0\""
}
