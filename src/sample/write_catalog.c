/* The sample's catalog as YAML, one file a subject, the way an operator would keep it. */
#include "base/file.h"
#include "sample/private.h"
#include <string.h>

#define FILE_BYTES_MAX ((size_t)512 << 20)

static bool save(const struct world *w, const char *name, struct buf *b, struct error *err) {
  bool ok = !b->failed || error_set(err, ERR_LIMIT, "the sample's %s is too large", name);
  ok = ok && file_write(arena_printf(w->arena, "%s/catalog/%s", w->options.out_dir, name), buf_slice(b), err);
  buf_free(b);
  return ok;
}

static bool write_company(const struct world *w, struct error *err) {
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(&b, "# Who sells, in which currency, and the taxes there are.\n"
               "currency: USD\n"
               "seller:\n"
               "  name: Northwind Compute B.V.\n"
               "  address: [Science Park 120, 1098 XG Amsterdam]\n"
               "  country: NL\n"
               "  tax_id: NL859999999B01\n"
               "  registration: KVK 74999999\n"
               "  email: billing@northwind.example\n"
               "  logo: logo.png\n"
               "  invoice_prefix: NW-\n"
               "  bank: IBAN NL02 ABNA 0123 4567 89, BIC ABNANL2A\n"
               "  footer: Please name the invoice number when you pay. Thank you for computing with us.\n"
               "taxes:\n"
               "  - {name: nl-standard, label: VAT 21%%, rate: 21%%, category: S}\n"
               "  - {name: eu-reverse, label: VAT 0%% (reverse charge), rate: 0, category: AE, note: \"VAT "
               "reverse-charged: article 196 of Directive 2006/112/EC.\"}\n"
               "  - {name: export, label: VAT 0%% (export), rate: 0, category: G, note: Service supplied outside the "
               "European Union.}\n");
  return save(w, "company.yaml", &b, err);
}

static bool write_meters(const struct world *w, struct error *err) {
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(
      &b, "# What is counted.\n"
          "meters:\n"
          "  # A lease holds `gpus` from one event to the next; the hours between them are billed.\n"
          "  - {name: gpu_hours, event: gpu.lease, value: gpus, aggregation: integral, over: hour, unit: "
          "GPU-hour, series: lease, dimensions: [gpu, class, site], product: GPU compute}\n"
          "  - {name: tokens_in, event: model.usage, value: input_tokens, unit: token, dimensions: [model], "
          "product: Model tokens}\n"
          "  - {name: tokens_cached, event: model.usage, value: cached_input_tokens, unit: token, dimensions: [model], "
          "product: Model tokens}\n"
          "  - {name: tokens_out, event: model.usage, value: output_tokens, unit: token, dimensions: [model], "
          "product: Model tokens}\n"
          "  - {name: tokens_reasoning, event: model.usage, value: reasoning_tokens, optional: true, unit: token, "
          "dimensions: [model], product: Model tokens}\n"
          "  # Storage is a level as well: gigabytes times time.\n"
          "  - {name: storage, event: storage.level, value: gigabytes, aggregation: integral, over: month, unit: "
          "GB-month, series: volume, dimensions: [tier], product: Storage}\n"
          "  - {name: api_calls, event: api.usage, value: calls, unit: call, product: Platform}\n");
  return save(w, "meters.yaml", &b, err);
}

static void gpu_price(struct buf *b, const char *gpu, const char *class, const char *name, const char *price,
                      const char *by) {
  buf_addf(b, "      - {name: %s %s, meter: gpu_hours, match: {gpu: %s, class: %s}, price: %s", gpu, name, gpu, class,
           price);
  if (by) {
    buf_addf(b, ", multipliers: [{match: {class: %s}, by: %s}]", class, by);
  }
  buf_addf(b, "}\n");
}

/* GPU prices of one plan version: the list price by kind, and what each class makes of it. */
static void gpu_prices(struct buf *b, bool later) {
  for (size_t i = 0; i < SAMPLE_POOLS; i++) {
    const struct sample_pool *p = &sample_pools[i];
    const char *price = later ? p->later_price : p->price;
    gpu_price(b, p->gpu, "on_demand", "on demand", price, NULL);
    gpu_price(b, p->gpu, "priority", "priority", price, "1.25");
    gpu_price(b, p->gpu, "spot", "spot", price, "0.42");
  }
  buf_addf(b, "      - {name: Reserved capacity in use, meter: gpu_hours, match: {class: reserved}, price: 0}\n");
}

static void token_prices(struct buf *b) {
  for (size_t i = 0; i < SAMPLE_MODELS; i++) {
    const struct model *m = &sample_models[i];
    buf_addf(b, "      - {name: \"%s, input\", meter: tokens_in, match: {model: %s}, price: %s, per: 1000000}\n",
             m->name, m->name, m->input);
    buf_addf(
        b, "      - {name: \"%s, cached input\", meter: tokens_cached, match: {model: %s}, price: %s, per: 1000000}\n",
        m->name, m->name, m->cached);
    buf_addf(b, "      - {name: \"%s, output\", meter: tokens_out, match: {model: %s}, price: %s, per: 1000000}\n",
             m->name, m->name, m->output);
    buf_addf(
        b, "      - {name: \"%s, reasoning\", meter: tokens_reasoning, match: {model: %s}, price: %s, per: 1000000}\n",
        m->name, m->name, m->output);
  }
}

static void platform_prices(struct buf *b) {
  buf_addf(b, "      - {name: Object storage, meter: storage, match: {tier: object}, price: 0.023}\n"
              "      - {name: Fast storage, meter: storage, match: {tier: nvme}, price: 0.12}\n"
              "      - name: API calls\n"
              "        meter: api_calls\n"
              "        model: graduated\n"
              "        tiers: [{up_to: 100000, price: 0}, {up_to: 1000000, price: 0.0004}, {price: 0.0002}]\n");
}

static void plan(struct buf *b, const char *name, const char *title, const char *valid_from, bool later) {
  buf_addf(b, "  - name: %s\n    title: %s\n    valid_from: %s\n    prices:\n", name, title, valid_from);
  gpu_prices(b, later);
  token_prices(b);
  platform_prices(b);
}

static bool write_plans(const struct world *w, struct error *err) {
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(&b,
           "# Plans. The second version of pay-as-you-go takes over in the middle of the month, at noon.\nplans:\n");
  plan(&b, "pay-as-you-go", "Pay as you go", "2024-01-01", false);
  plan(&b, "pay-as-you-go", "Pay as you go", arena_printf(w->arena, "%s-15T12:00:00Z", w->month), true);
  plan(&b, "team", "Team subscription", "2024-01-01", false);
  buf_addf(&b, "    fees: [{name: Team subscription, price: 1500, every: month, product: Subscriptions}]\n"
               "    allowances:\n"
               "      - {name: GPU hours of the subscription, meter: gpu_hours, match: {gpu: L40S}, included: 400}\n"
               "      - {name: Tokens of the subscription, meter: tokens_in, included: 200000000}\n");
  plan(&b, "free", "Free to start", "2024-01-01", false);
  buf_addf(&b, "    calls: {requests_a_minute: 60, tokens_a_minute: 200000, concurrency: 4}\n"
               "    allowances:\n"
               "      - {name: Free tokens in, meter: tokens_in, included: 20000000}\n"
               "      - {name: Free tokens out, meter: tokens_out, included: 5000000}\n"
               "      - {name: Free storage, meter: storage, included: 20}\n");
  plan(&b, "enterprise", "Enterprise", "2024-01-01", true);
  buf_addf(&b, "    minimum: 25000\n");
  return save(w, "plans.yaml", &b, err);
}

static void write_contract(struct buf *b, const struct person *p, unsigned index) {
  static const char *const plans[] = {"pay-as-you-go", "team", "free", "enterprise", "pay-as-you-go"};
  buf_addf(b, "    contracts:\n      - plan: %s\n        from: 2025-0%u-01\n", plans[p->profile], 1 + index % 9);
  if (p->profile == ENTERPRISE) {
    buf_addf(
        b,
        "        minimum: %u\n        prices:\n"
        "          - {name: H100 enterprise, meter: gpu_hours, match: {gpu: H100, class: on_demand}, price: 2.40}\n",
        25000 + 5000 * (index % 6));
  }
  if (p->profile == RESERVED) {
    const struct sample_pool *pool = &sample_pools[p->reserved_pool];
    buf_addf(b,
             "        fees:\n          - {name: \"Reserved %s, 1 year\", price: %s, every: hour, count: %u, product: "
             "Reserved capacity}\n",
             pool->gpu, p->reserved_pool == 1 ? "2.41" : "2.04", p->reserved_gpus);
  }
}

static bool write_customers(const struct world *w, struct error *err) {
  static const char *const groups[] = {"self-serve", "subscription", "freemium", "enterprise", "reserved"};
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(&b, "# Customers and their contracts.\ncustomers:\n");
  for (unsigned i = 0; i < w->options.customers; i++) {
    const struct person *p = &w->people[i];
    buf_addf(&b,
             "  - id: %s\n    name: %s\n    address: [%u Exchange Street, \"%s\"]\n    country: %s\n    email: "
             "finance@%s.example\n",
             p->id, p->name, 1 + i * 7 % 240, country_city(p->country), country_code(p->country), p->id);
    if (strcmp(country_tax(p->country), "eu-reverse") == 0) { /* a business: without a number it would be charged VAT */
      buf_addf(&b, "    tax_id: %s%09u\n", country_code(p->country), 100000000 + i * 7919 % 900000000);
    }
    buf_addf(&b, "    tax: %s\n    time_zone: %s\n    group: %s\n    payment_days: %u\n", country_tax(p->country),
             country_zone(p->country), groups[p->profile], p->profile == ENTERPRISE ? 30u : 14u);
    if (p->profile == ENTERPRISE) {
      buf_addf(&b, "    reference: PO-%05u\n", 10400 + i * 37);
    }
    /* All are invoiced afterwards; who starts for free may not run up a large bill. */
    buf_addf(&b, "    credit_line: %s\n", p->profile == FREEMIUM ? "1000" : "unlimited");
    write_contract(&b, p, i);
  }
  return save(w, "customers.yaml", &b, err);
}

static bool write_pools(const struct world *w, struct error *err) {
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(&b, "# Capacity and what it costs, per GPU.\npools:\n");
  for (unsigned i = 0; i < SAMPLE_POOLS; i++) {
    const struct sample_pool *p = &sample_pools[i];
    buf_addf(&b,
             "  - name: %s\n    kind: %s\n    site: %s\n    count: %u\n    from: 2025-01-01\n    meter: gpu_hours\n    "
             "match: {gpu: %s, site: %s}\n",
             p->name, p->gpu, p->site, pool_count(w, i), p->gpu, p->site);
    buf_addf(&b,
             "    costs: {capex: %s, residual: 15%%, life_months: 60, opex_year: 900, colocation_kw_month: 184.06, "
             "energy_kwh: 0.0828, load: 80%%, pue: 1, power_kw: %s}\n",
             p->capex, p->power_kw);
  }
  return save(w, "pools.yaml", &b, err);
}

/* One server on this machine stands for all, at the port where vLLM listens. */
static bool write_models(const struct world *w, struct error *err) {
  const unsigned h100 = 2, gpus = pool_count(w, h100);
  struct buf b;
  buf_init(&b, FILE_BYTES_MAX);
  buf_addf(&b, "# Models, the server they run on, and the events their calls become.\n"
               "gateway: {event: model.usage}\n"
               "upstreams:\n");
  buf_addf(&b, "  - {name: local, url: \"http://127.0.0.1:8000\", health: /health, pool: %s, units: %u}\n",
           sample_pools[h100].name, gpus < 8 ? gpus : 8);
  buf_addf(&b, "models:\n");
  for (size_t i = 0; i < SAMPLE_MODELS; i++) {
    const struct model *m = &sample_models[i];
    bool embeds = strcmp(m->output, "0") == 0;
    buf_addf(&b, "  - {name: %s, upstream: local%s}\n", m->name,
             embeds ? ", doors: [embeddings]" : ", context: 131072, max_output: 8192");
  }
  return save(w, "models.yaml", &b, err);
}

bool write_catalog(const struct world *w, struct error *err) {
  return write_company(w, err) && write_meters(w, err) && write_plans(w, err) && write_customers(w, err) &&
         write_pools(w, err) && write_models(w, err);
}
