/* The table of endpoints, and starting and stopping the server over it. */
#include "api/private.h"
#include "base/log.h"
#include "live/live.h"
#include <stdlib.h>

void call_arrived(struct http_request *r, void *context);

const struct api_endpoint api_endpoints[] = {
    {"GET", "/", "The overview page", "period", NULL, "text/html; charset=utf-8", ALLOW_PUBLIC, NULL, NULL, page_read,
     NULL, true},
    {"GET", "/healthz", "Is the server up", NULL, NULL, NULL, ALLOW_PUBLIC, NULL, health_prepare, NULL, NULL, true},
    {"GET", "/metrics", "Prometheus metrics of the server", NULL, NULL, "text/plain; version=0.0.4", ALLOW_PUBLIC, NULL,
     NULL, metrics_read, NULL, true},
    {"GET", "/api/v1/openapi.json", "This document", NULL, NULL, NULL, ALLOW_PUBLIC, NULL, openapi_prepare, NULL, NULL,
     true},
    {"POST", "/api/v1/events",
     "Take usage events: one CloudEvent (structured or binary), a batch or lines; answers per event", NULL,
     "CloudEvents 1.0.2 JSON: application/cloudevents+json, application/cloudevents-batch+json, or application/json "
     "with ce- headers; application/x-ndjson for one event a line",
     NULL, ALLOW_OPERATOR, NULL, events_prepare, NULL, events_apply, false},
    {"GET", "/api/v1/corrections", "Corrections, newest first", "customer limit cursor", NULL, NULL, ALLOW_OWNER,
     "customer", NULL, corrections_read, NULL, true},
    {"POST", "/api/v1/corrections", "Void an event, or amend it; the same id again changes nothing", NULL,
     "{\"id\": unique, \"reason\": text, \"void\": {\"source\", \"id\"}} or {..., \"amend\": {\"source\", \"id\"}, "
     "\"event\": CloudEvent}",
     NULL, ALLOW_OPERATOR, NULL, correction_prepare, NULL, correction_apply, false},
    {"POST", "/api/v1/corrections/preview", "What a correction would change, in money, period by period", NULL,
     "as for /api/v1/corrections", NULL, ALLOW_OPERATOR, NULL, correction_prepare, NULL, correction_preview, true},
    {"GET", "/api/v1/backfills", "Backfills", "limit cursor", NULL, NULL, ALLOW_OPERATOR, NULL, NULL, NULL,
     backfills_read, true},
    {"POST", "/api/v1/backfills", "Make a draft: events that replace a stretch of a meter of a customer", NULL,
     "{\"id\": unique, \"customer\": id, \"meter\": name, \"from\": time, \"to\": time, \"events\": [CloudEvent], "
     "\"reason\": text}",
     NULL, ALLOW_OPERATOR, NULL, backfill_prepare, NULL, backfill_apply, false},
    {"GET", "/api/v1/backfills/{backfill}", "A backfill; a draft with what it would change, in money", NULL, NULL, NULL,
     ALLOW_OPERATOR, NULL, NULL, NULL, backfill_preview, true},
    {"POST", "/api/v1/backfills/{backfill}/apply", "Apply it, as one step", NULL, NULL, NULL, ALLOW_OPERATOR, NULL,
     NULL, NULL, backfill_commit, false},
    {"DELETE", "/api/v1/backfills/{backfill}", "Drop a draft", NULL, NULL, NULL, ALLOW_OPERATOR, NULL, NULL, NULL,
     backfill_drop, false},
    {"GET", "/api/v1/limits", "The limits of what comes in: name, value, status on breach, what is bounded", NULL, NULL,
     NULL, ALLOW_PUBLIC, NULL, limits_prepare, NULL, NULL, true},
    {"GET", "/api/v1/customers", "Customers", "limit cursor", NULL, NULL, ALLOW_OWNER, NULL, NULL, customers_read, NULL,
     true},
    {"GET", "/api/v1/customers/{customer}", "A customer with contracts", NULL, NULL, NULL, ALLOW_OWNER, "customer",
     NULL, customer_read, NULL, true},
    {"GET", "/api/v1/plans", "Plans and their versions", "limit cursor", NULL, NULL, ALLOW_OWNER | ALLOW_INVESTOR, NULL,
     NULL, plans_read, NULL, true},
    {"GET", "/api/v1/plans/{plan}", "All versions of a plan with prices, fees and allowances", NULL, NULL, NULL,
     ALLOW_OWNER | ALLOW_INVESTOR, NULL, NULL, plan_read, NULL, true},
    {"GET", "/api/v1/usage", "Usage, grouped by any of: customer, meter, a dimension; and hour, day or month",
     "period from to customer meter group_by as_of", NULL, NULL, ALLOW_OWNER, "customer", NULL, usage_read, NULL, true},
    {"GET", "/api/v1/invoices", "Invoices", "customer period status kind limit cursor", NULL, NULL, ALLOW_OWNER,
     "customer", NULL, invoices_read, NULL, true},
    {"GET", "/api/v1/invoices/preview", "What finalizing would give now, for a period open or past", "customer period",
     NULL, NULL, ALLOW_OWNER, "customer", NULL, preview_read, NULL, true},
    {"POST", "/api/v1/invoices/finalize", "Finalize one customer's invoice of a period; again gives the same invoice",
     NULL, "{\"customer\": id, \"period\": \"2026-10\", \"early\": false, \"allow_unpriced\": false}", NULL,
     ALLOW_OPERATOR, NULL, finalize_prepare, finalize_read, finalize_apply, false},
    {"GET", "/api/v1/invoices/{invoice}", "An invoice's document, by id or number", NULL, NULL, NULL, ALLOW_OWNER, NULL,
     NULL, invoice_read, NULL, true},
    {"GET", "/api/v1/invoices/{invoice}/pdf", "An invoice as PDF", NULL, NULL, "application/pdf", ALLOW_OWNER, NULL,
     NULL, pdf_read, NULL, true},
    {"GET", "/api/v1/invoices/{invoice}/ubl", "An invoice as UBL 2.1 (EN 16931)", NULL, NULL, "application/xml",
     ALLOW_OWNER, NULL, NULL, ubl_read, NULL, true},
    {"GET", "/api/v1/invoices/{invoice}/explain",
     "How an amount came to be: a line with its usage and events, or total, tax, rounding", "line events format", NULL,
     "text/plain; charset=utf-8", ALLOW_OWNER, NULL, NULL, explain_read, NULL, true},
    {"POST", "/api/v1/invoices/{invoice}/payments", "Record a payment", NULL, "{\"id\": unique, \"amount\": \"10.00\"}",
     NULL, ALLOW_OPERATOR, NULL, pay_prepare, NULL, pay_apply, false},
    {"POST", "/api/v1/invoices/{invoice}/void", "Void an invoice: its transfers are reversed, its number stays used",
     NULL, NULL, NULL, ALLOW_OPERATOR, NULL, NULL, NULL, void_apply, false},
    {"POST", "/api/v1/invoices/{invoice}/credit-notes",
     "Credit an invoice: in full, an amount with its tax, or lines; the same id again changes nothing", NULL,
     "{\"id\": unique, \"reason\": text, one of \"full\": true, \"amount\": \"100.00\", \"lines\": [{\"line\": 3} or "
     "{\"line\": 3, \"amount\": \"10.00\"} or {\"line\": 3, \"quantity\": \"5\"}]; \"to\": \"credit\" or nothing, "
     "\"preview\": false}",
     NULL, ALLOW_OPERATOR, NULL, note_prepare, NULL, note_apply, false},
    {"GET", "/api/v1/gateway", "Calls of models as they run: by model, upstream and customer", NULL, NULL, NULL,
     ALLOW_OPERATOR, NULL, gateway_prepare, NULL, NULL, true},
    {"GET", "/api/v1/balance", "What a customer can spend: available, held, unbilled, by pocket and by credit",
     "customer", NULL, NULL, ALLOW_OWNER, "customer", NULL, NULL, balance_read, true},
    {"GET", "/api/v1/credits", "Credits: paid in advance, or given", "customer limit cursor", NULL, NULL, ALLOW_OWNER,
     "customer", NULL, credits_read, NULL, true},
    {"POST", "/api/v1/credits", "Give a customer credit; the same id again changes nothing", NULL,
     "{\"id\": unique or nothing, \"customer\": id, \"kind\": \"prepaid\", \"promotional\" or \"referral\", "
     "\"amount\": "
     "\"100\", \"currency\", \"priority\": 0 to 100, \"scope\": [product], \"effective\": time, \"expires\": time, "
     "\"reference\": text, \"note\": text}",
     NULL, ALLOW_OPERATOR, NULL, credit_prepare, NULL, credit_apply, false},
    {"GET", "/api/v1/credits/{credit}", "A credit", NULL, NULL, NULL, ALLOW_OWNER, NULL, NULL, credit_read, NULL, true},
    {"POST", "/api/v1/credits/{credit}/expire", "End a credit now: what no hold reserves expires", NULL, NULL, NULL,
     ALLOW_OPERATOR, NULL, NULL, NULL, credit_expire_apply, false},
    {"POST", "/api/v1/credits/{credit}/revoke", "Take back what is left: a refund, or a promotion withdrawn", NULL,
     NULL, NULL, ALLOW_OPERATOR, NULL, NULL, NULL, credit_revoke_apply, false},
    {"GET", "/api/v1/top-ups", "Top-ups that rules asked for, and what became of them", "customer limit cursor", NULL,
     NULL, ALLOW_OWNER, "customer", NULL, top_ups_read, NULL, true},
    {"POST", "/api/v1/top-ups/{top_up}/paid", "The payment came: makes the prepaid credit, once", NULL,
     "{\"reference\": text} or {}", NULL, ALLOW_OPERATOR, NULL, top_up_prepare, NULL, top_up_paid_apply, false},
    {"POST", "/api/v1/top-ups/{top_up}/failed", "The payment will not come", NULL, NULL, NULL, ALLOW_OPERATOR, NULL,
     NULL, NULL, top_up_failed_apply, false},
    {"GET", "/api/v1/commitments",
     "Utilization and coverage of a customer's reservations and savings plans; of a running period up to now",
     "customer period hourly", NULL, NULL, ALLOW_OWNER, "customer", NULL, commitments_read, NULL, true},
    {"GET", "/api/v1/payments", "Payments; state=unmatched: those of which money waits to be applied",
     "customer state invoice limit cursor", NULL, NULL, ALLOW_OWNER, "customer", NULL, payments_read, NULL, true},
    {"POST", "/api/v1/payments", "Record a payment, and match it with invoices; the same id again changes nothing",
     NULL,
     "{\"id\": unique, \"amount\": \"10.00\", \"currency\": \"EUR\", \"customer\": id, \"invoice\": id or number, "
     "\"reference\": text, \"payer\": text, \"received\": time}; all but the first three may be left out",
     NULL, ALLOW_OPERATOR, NULL, payment_prepare, NULL, payment_record_apply, false},
    {"POST", "/api/v1/payments/import", "Record the payments of a bank file, each once; answers per entry", NULL,
     "the file as it is: CSV or camt.053 XML", NULL, ALLOW_OPERATOR, NULL, NULL, bank_file_read, bank_file_apply,
     false},
    {"GET", "/api/v1/payments/{payment}", "A payment and what it paid", NULL, NULL, NULL, ALLOW_OWNER, NULL, NULL,
     payment_read, NULL, true},
    {"POST", "/api/v1/payments/{payment}/apply", "Apply what waits of a payment to an invoice", NULL,
     "{\"invoice\": id or number, \"amount\": at most this much, or nothing}", NULL, ALLOW_OPERATOR, NULL,
     payment_apply_prepare, NULL, payment_apply_apply, false},
    {"POST", "/api/v1/payments/{payment}/refund", "Money went back: invoices it paid are open again", NULL,
     "{\"amount\": all refunds of it together, or nothing for the whole payment}", NULL, ALLOW_OPERATOR, NULL,
     payment_refund_prepare, NULL, payment_refund_apply, false},
    {"GET", "/api/v1/dunning", "Steps taken about overdue invoices", "customer limit cursor", NULL, NULL, ALLOW_OWNER,
     "customer", NULL, dunning_read, NULL, true},
    {"GET", "/api/v1/statements", "A statement of account: balances, documents, payments, aging", "customer from to",
     NULL, NULL, ALLOW_OWNER, "customer", statement_prepare, NULL, statement_apply, true},
    {"POST", "/hooks/payments/{provider}", "What a payment provider tells; authenticated by its signature", NULL,
     "Standard Webhooks or Stripe, as the catalog says", NULL, ALLOW_PUBLIC, NULL, provider_hook_prepare, NULL,
     provider_hook_apply, false},
    {"GET", "/api/v1/ledger/accounts", "Accounts with balances", "prefix limit cursor", NULL, NULL, ALLOW_OPERATOR,
     NULL, NULL, NULL, accounts_apply, true},
    {"GET", "/api/v1/ledger/entries", "Entries of an account", "account currency limit cursor", NULL, NULL,
     ALLOW_OPERATOR, NULL, NULL, NULL, entries_apply, true},
    {"GET", "/api/v1/summary", "Utilization, revenue, cost, margin and invoices of a period", "period", NULL, NULL,
     ALLOW_OPERATOR, NULL, NULL, summary_read, NULL, true},
    {"GET", "/api/v1/export",
     "All that a customer's invoices are derived from, as a tar file: `meterhouse verify --export` derives them again",
     "customer", NULL, "application/x-tar", ALLOW_OWNER, "customer", NULL, export_read, NULL, true},
    {"GET", "/api/v1/clock", "The time of this book, and whether it is a test clock", NULL, NULL, NULL, ALLOW_OPERATOR,
     NULL, NULL, clock_read, NULL, true},
    {"POST", "/api/v1/clock", "Move a test clock on through all that falls due", NULL,
     "{\"advance\": \"1 month\"} or {\"to\": time}", NULL, ALLOW_OPERATOR, NULL, clock_prepare, clock_advance, NULL,
     true},
    {"GET", "/api/v1/keys", "API keys, without their secrets", "customer limit cursor", NULL, NULL, ALLOW_OWNER,
     "customer", NULL, keys_read, NULL, true},
    {"POST", "/api/v1/keys", "Make a key; its text is shown this once", NULL,
     "{\"role\": \"customer\", \"customer\": id, \"name\": text, \"scopes\": [\"models\", \"manage\"], \"project\": "
     "text, "
     "\"models\": [name], \"expires\": time, \"limits\": {\"requests_a_minute\": n, \"tokens_a_minute\": n, "
     "\"concurrency\": n}, \"spend_limit\": {\"amount\": \"100\", \"per\": \"month\"}}",
     NULL, ALLOW_OWNER, NULL, key_prepare, NULL, key_apply, false},
    {"POST", "/api/v1/keys/{key}/rotate", "A new key with the same terms; the old one ends after the overlap", NULL,
     "{\"overlap\": seconds}", NULL, ALLOW_OWNER, NULL, key_rotate_prepare, NULL, key_rotate_apply, false},
    {"DELETE", "/api/v1/keys/{key}", "Revoke a key", NULL, NULL, NULL, ALLOW_OWNER, NULL, NULL, NULL, key_revoke_apply,
     false},
    {"GET", "/api/v1/alerts", "Alerts made over the API, and of one customer those of the catalog as well",
     "customer limit cursor", NULL, NULL, ALLOW_OWNER, "customer", NULL, alerts_read, NULL, true},
    {"POST", "/api/v1/alerts", "Make an alert on usage or spend; crossing it sends alert.crossed once a period", NULL,
     "{\"customer\": id, \"name\": text, \"meter\": name, \"per\": \"month\", \"at\": \"8000000\", \"at_percent\": "
     "[80, "
     "100]} or {..., \"spend\": \"500\"}",
     NULL, ALLOW_OWNER, NULL, alert_prepare, NULL, alert_apply, false},
    {"DELETE", "/api/v1/alerts/{alert}", "Delete an alert made over the API", NULL, NULL, NULL, ALLOW_OWNER, NULL, NULL,
     NULL, alert_delete_apply, false},
    {"GET", "/api/v1/entitlements", "May this customer use more of a meter? Answered from memory", "customer meter",
     NULL, NULL, ALLOW_OWNER, "customer", entitlement_prepare, NULL, NULL, true},
    {"GET", "/api/v1/webhooks", "Endpoints that are told what happens", NULL, NULL, NULL, ALLOW_OPERATOR, NULL, NULL,
     webhooks_read, NULL, true},
    {"POST", "/api/v1/webhooks", "Make a webhook; its signing secret is shown this once", NULL,
     "{\"url\": \"https://...\", \"events\": [\"invoice.finalized\"] or nothing for all, \"customer\": id or nothing}",
     NULL, ALLOW_OPERATOR, NULL, webhook_prepare, NULL, webhook_apply, false},
    {"GET", "/api/v1/webhooks/{webhook}", "A webhook", NULL, NULL, NULL, ALLOW_OPERATOR, NULL, NULL, webhook_read, NULL,
     true},
    {"DELETE", "/api/v1/webhooks/{webhook}", "Delete a webhook and its deliveries", NULL, NULL, NULL, ALLOW_OPERATOR,
     NULL, NULL, NULL, webhook_delete_apply, false},
    {"POST", "/api/v1/webhooks/{webhook}/rotate", "A new signing secret; the old one signs as well for 24 hours", NULL,
     NULL, NULL, ALLOW_OPERATOR, NULL, webhook_rotate_prepare, NULL, webhook_rotate_apply, false},
    {"POST", "/api/v1/webhooks/{webhook}/enable", "Send again to a webhook that was disabled by its answer 410", NULL,
     NULL, NULL, ALLOW_OPERATOR, NULL, NULL, NULL, webhook_enable_apply, false},
    {"POST", "/api/v1/webhooks/{webhook}/test", "Send a webhook.test", NULL, NULL, NULL, ALLOW_OPERATOR, NULL, NULL,
     NULL, webhook_test_apply, false},
    {"POST", "/api/v1/webhooks/{webhook}/replay", "Send one message again, or all since a time", NULL,
     "{\"message\": id} or {\"since\": time}", NULL, ALLOW_OPERATOR, NULL, replay_prepare, NULL, replay_apply, false},
    {"GET", "/api/v1/webhooks/{webhook}/deliveries", "What was sent and what came of it, newest first",
     "status limit cursor", NULL, NULL, ALLOW_OPERATOR, NULL, NULL, deliveries_read, NULL, true},
};
const size_t api_endpoint_count = sizeof api_endpoints / sizeof *api_endpoints;

static void stop_core(struct api *api) {
  if (api->pull) {
    pull_stop(api->pull);
  }
  gateway_stop(api->gateway);
  live_stop(api->live);
  webhooks_stop(api);
  core_stop(api->core);
  webhooks_free(api);
  live_free(api->live);
  gateway_free(api->gateway);
  providers_close(api->providers);
  free(api->routes);
  free(api);
}

static void alerts_crossed(void *context) {
  webhooks_committed(context);
}

/* Whoever answers requests, sends or scrapes may be asked as soon as http has started. */
static bool start_parts(struct api *api, const struct api_options *options, struct error *err) {
  struct pull_writer writer = {.write = scrape_write, .context = api};
  /* What pull remembers is read here, before any command can reach the core. */
  if (!providers_open(book_catalog(api->book), &api->providers, err) ||
      !live_open(api->book, api->core, &api->live, err) || !gateway_start(api->book, api->core, &api->gateway, err) ||
      (options->scrape && !pull_start(options->scrape, book_db(api->book), &writer, &api->pull, err)) ||
      !webhooks_start(api, err)) {
    return false;
  }
  live_start(api->live, alerts_crossed, api);
  return true;
}

/* The endpoints and the doors of the gateway. */
static size_t gather_routes(struct api *api) {
  size_t door_count;
  const struct http_route *doors = gateway_routes(api->gateway, &door_count);
  api->routes = mem_alloc((api_endpoint_count + door_count) * sizeof *api->routes);
  for (size_t i = 0; i < door_count; i++) {
    api->routes[i] = doors[i];
  }
  for (size_t i = 0; i < api_endpoint_count; i++) {
    api->routes[door_count + i] = (struct http_route){.method = api_endpoints[i].method,
                                                      .path = api_endpoints[i].path,
                                                      .data = &api_endpoints[i],
                                                      .handle = call_arrived};
  }
  return door_count + api_endpoint_count;
}

static bool start_http(struct api *api, const struct api_options *options, struct error *err) {
  size_t route_count = gather_routes(api);
  struct http_options http = {.listen = options->listen,
                              .edge_threads = options->edge_threads,
                              .routes = api->routes,
                              .route_count = route_count,
                              .context = api,
                              .problem_prefix = "/v1/",
                              .problem = gateway_problem,
                              .edge_slot_free = gateway_edge_free};
  return http_start(&http, &api->http, err);
}

bool api_start(struct book *book, const struct api_options *options, struct api **out, struct error *err) {
  if (!gateway_recover(book, err)) {
    return false;
  }
  struct api *api = mem_alloc(sizeof *api);
  api->book = book;
  api->open_overview = options->open_overview;
  api->started = clock_now();
  api->core = core_start(book);
  if (!start_parts(api, options, err) || !start_http(api, options, err)) {
    stop_core(api);
    return false;
  }
  *out = api;
  return true;
}

int api_port(const struct api *api) {
  return http_port(api->http);
}

void api_stop(struct api *api, int grace_ms) {
  http_stop(api->http, grace_ms);
  stop_core(api);
}
