/* Which tax a customer pays for a product, and its rate at a time. */
#include "catalog/private.h"

/* Dates of entry (and of leaving, with VAT: the end of the transition) as days of UTC. Members since before 1970, and
 * those who joined before records of ours can begin, count since ever. */
struct member {
  char code[3];
  const char *from, *to;
};
static const struct member members[] = {
    {"AT", "", ""},           {"BE", "", ""},           {"BG", "2007-01-01", ""}, {"CY", "2004-05-01", ""},
    {"CZ", "2004-05-01", ""}, {"DE", "", ""},           {"DK", "", ""},           {"EE", "2004-05-01", ""},
    {"ES", "", ""},           {"FI", "", ""},           {"FR", "", ""},           {"GB", "", "2021-01-01"},
    {"GR", "", ""},           {"HR", "2013-07-01", ""}, {"HU", "2004-05-01", ""}, {"IE", "", ""},
    {"IT", "", ""},           {"LT", "2004-05-01", ""}, {"LU", "", ""},           {"LV", "2004-05-01", ""},
    {"MT", "2004-05-01", ""}, {"NL", "", ""},           {"PL", "2004-05-01", ""}, {"PT", "", ""},
    {"RO", "2007-01-01", ""}, {"SE", "", ""},           {"SI", "2004-05-01", ""}, {"SK", "2004-05-01", ""},
};

static instant date_or(const char *text, instant otherwise) {
  struct error ignored;
  instant t = otherwise;
  bool known = *text == '\0' || time_parse_loose(slice_of(text), "UTC", &t, &ignored);
  must(known);
  return t;
}

bool country_in_eu(slice country, instant at) {
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    if (slice_is(country, members[i].code)) {
      return at.ns >= date_or(members[i].from, (instant){INT64_MIN}).ns &&
             (members[i].to[0] == '\0' || at.ns < date_or(members[i].to, at).ns);
    }
  }
  return false;
}

static bool has_name(const slice *names, size_t count, slice name) {
  for (size_t i = 0; i < count; i++) {
    if (slice_eq(names[i], name)) {
      return true;
    }
  }
  return false;
}

static bool lies_in(const struct territory *t, slice country, instant at) {
  return t->any || has_name(t->countries, t->count, country) || (t->eu && country_in_eu(country, at));
}

bool tax_rule_takes(const struct tax_rule *rule, const struct customer *customer, const struct seller *seller,
                    instant at) {
  slice country = customer->party.country;
  if (!lies_in(&rule->customer, country, at) || !lies_in(&rule->seller_country, seller->party.country, at) ||
      (rule->region_count > 0 && !has_name(rule->regions, rule->region_count, customer->region)) ||
      (rule->seller_count > 0 && !has_name(rule->sellers, rule->seller_count, seller->id))) {
    return false;
  }
  return rule->buyer == TAX_BUYER_ANY ||
         (rule->buyer == TAX_BUYER_BUSINESS) == tax_id_well_formed(country, customer->party.tax_id);
}

const struct seller *catalog_seller(const struct catalog *c, const struct customer *customer) {
  return customer->seller ? customer->seller : &c->seller;
}

const struct seller *catalog_seller_named(const struct catalog *c, slice id) {
  for (size_t i = 0; i < c->seller_count; i++) {
    if (slice_eq(c->sellers[i].id, id)) {
      return &c->sellers[i];
    }
  }
  return &c->seller;
}

bool catalog_tax(const struct catalog *c, const struct customer *customer, slice product, instant at,
                 const struct tax **out, struct error *err) {
  const struct seller *seller = catalog_seller(c, customer);
  *out = customer->tax;
  if (customer->tax || customer->untaxed || c->tax_rule_count == 0) {
    return true;
  }
  for (size_t i = 0; i < c->tax_rule_count; i++) {
    const struct tax_rule *rule = &c->tax_rules[i];
    if ((rule->product_count == 0 || has_name(rule->products, rule->product_count, product)) &&
        tax_rule_takes(rule, customer, seller, at)) {
      *out = rule->tax;
      return true;
    }
  }
  char day[TIME_TEXT_MAX];
  return error_set(err, ERR_INVALID,
                   "no rule of tax_rules takes customer " SLICE_FMT " and product \"" SLICE_FMT
                   "\" on %s: add one, or give the customer a \"tax\"",
                   SLICE_ARG(customer->id), SLICE_ARG(product), time_format_date(at, c->time_zone, day));
}

bool catalog_tax_rate(const struct tax *tax, instant at, rate *out, struct error *err) {
  char day[TIME_TEXT_MAX];
  *out = tax->rate;
  for (size_t i = tax->rate_count; i > 0; i--) {
    if (tax->rates[i - 1].from.ns <= at.ns) {
      *out = tax->rates[i - 1].rate;
      return true;
    }
  }
  return tax->rate_count == 0 ||
         error_set(err, ERR_INVALID, "tax \"" SLICE_FMT "\" (%s:%d) has no rate on %s: add one that begins earlier",
                   SLICE_ARG(tax->name), tax->place.file, tax->place.line, time_format_date(at, "UTC", day));
}
