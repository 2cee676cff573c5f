# Shared by the acceptance scripts: a folder of their own, and ok / not ok lines.
MH=$MH_BIN
work=$(mktemp -d /tmp/meterhouse-accept.XXXXXX)
trap 'rm -rf "$work"' EXIT
failures=0
ok() { echo "ok $1"; }
not_ok() { echo "not ok $1"; failures=$((failures + 1)); }
# check NAME COMMAND...: ok when the command succeeds
check() {
  name=$1
  shift
  if "$@" >"$work/check.out" 2>&1; then ok "$name"; else not_ok "$name"; sed 's/^/    /' "$work/check.out" | head -n 20; fi
}
# says NAME FILE TEXT: the file holds the text
says() { if grep -qF -- "$3" "$2"; then ok "$1"; else not_ok "$1"; echo "    expected: $3"; sed 's/^/    /' "$2" | head -n 10; fi; }
needs_shared() { [ -d "$MH_SHARED/data" ] || { echo "skipped: $1 ($MH_SHARED/data is not there)"; exit 0; }; }
# taxed_book DIR: September 2026 of tests/acceptance/taxes.yaml, closed
taxed_book() {
  echo '{"specversion":"1.0","id":"1","source":"s","type":"call","subject":"b","time":"2026-09-05T00:00:00Z","data":{}}' >"$work/taxes.ndjson"
  "$MH" import --data "$1" --catalog "$MH_ROOT/tests/acceptance/taxes.yaml" "$work/taxes.ndjson" >/dev/null
  "$MH" close --data "$1" --period 2026-09 --no-pdf >/dev/null
}
