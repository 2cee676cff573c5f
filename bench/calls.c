/* Made-up calls to models and the catalog that meters them. */
#include "calls.h"
#include "base/file.h"
#include "measure.h"

#define CUSTOMERS 1000
#define MODELS 4

void calls_write_catalog(const char *path) {
  struct buf b;
  struct error err = {0};
  buf_init(&b, 1u << 24);
  buf_add(&b, SLICE("currency: USD\n"
                    "seller: {name: Bench, country: NL, invoice_prefix: B-}\n"
                    "meters:\n"
                    "  - {name: input, event: model.usage, value: input_tokens, unit: token, dimensions: [model]}\n"
                    "  - {name: output, event: model.usage, value: output_tokens, unit: token, dimensions: [model]}\n"
                    "plans:\n"
                    "  - name: p\n"
                    "    prices:\n"
                    "      - {name: in, meter: input, price: 0.55, per: 1000000}\n"
                    "      - {name: out, meter: output, price: 2.19, per: 1000000}\n"
                    "customers:\n"));
  for (int i = 0; i < CUSTOMERS; i++) {
    buf_addf(&b, "  - {id: c%06d, name: C%d, country: NL, plan: p}\n", i, i);
  }
  measure_check(file_write(path, buf_slice(&b), &err), &err);
  buf_free(&b);
}

static void random_uuid(struct random *r, char text[37]) {
  uint64_t a = random_u64(r), b = random_u64(r);
  snprintf(text, 37, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
           (unsigned)(a & 0xfff), (unsigned)(b >> 48 & 0xfff), (unsigned long long)(b & 0xffffffffffff));
}

void calls_make(struct arena *arena, struct random *r, struct event *events, size_t count, uint64_t first,
                uint64_t total) {
  static const char *const models[MODELS] = {"llama-70b", "qwen-32b", "mixtral", "phi-4"};
  const int64_t start = INT64_C(1790812800), month_ms = INT64_C(30) * 86400 * 1000; /* 2026-10-01 */
  for (size_t i = 0; i < count; i++) {
    struct event_field *fields = arena_array(arena, 3, sizeof *fields);
    char *id = arena_alloc(arena, 37);
    uint64_t number = first + i;
    random_uuid(r, id);
    fields[0] = (struct event_field){SLICE("input_tokens"),
                                     slice_of(arena_printf(arena, "%u", (unsigned)random_below(r, 8000))), true};
    fields[1] = (struct event_field){SLICE("model"), slice_of(models[random_below(r, MODELS)]), false};
    fields[2] = (struct event_field){SLICE("output_tokens"),
                                     slice_of(arena_printf(arena, "%u", (unsigned)random_below(r, 2000))), true};
    int64_t ms = (int64_t)((unsigned __int128)number * (uint64_t)month_ms / total) + (int64_t)random_below(r, 2000);
    events[i] = (struct event){.id = {id, 36},
                               .source = SLICE("gateway/eu-1"),
                               .type = SLICE("model.usage"),
                               .subject = slice_of(arena_printf(arena, "c%06u", (unsigned)random_below(r, CUSTOMERS))),
                               .time = {(start * 1000 + ms) * 1000000},
                               .fields = fields,
                               .field_count = 3};
  }
}
