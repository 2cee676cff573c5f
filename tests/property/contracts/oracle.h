/* What a deal costs, by rationals and by hand: a timeline of parts, then of each fee, then of each stretch of a period.
 * Written from docs/rating.md and docs/catalog.md, not from the engine. */
#ifndef METERHOUSE_TESTS_CONTRACTS_ORACLE_H
#define METERHOUSE_TESTS_CONTRACTS_ORACLE_H
#include "deal.h"
#include "money/money.h"

#include <gmp.h>
#include <string.h>

/* Open contracts go on for ever; nobody looks further than this behind what the deal looks at. */
#define HORIZON_S (1600 * DAY_S)
enum { PARTS_MAX = 64, EVENTS_MAX = 400, SEATS = 2 + ADD_ONS };
enum cause { START, PHASE, CHANGE };
enum kind { USAGE, FEE, TRUE_UP };

/* A stretch of a contract in which plan, counts and add-ons stay what they are. */
struct naive_part {
  const struct contract_terms *contract;
  int number;                /* of the contract */
  seconds from, to, planned; /* planned: where it would end if nothing more were decided */
  enum cause cause;
  bool keeps; /* what ends it keeps what was paid */
  int plan;
  int64_t counts[NAMES];
  bool counted[NAMES];
  struct add_on_terms add_ons[ADD_ONS];
  int add_on_count;
};
struct event_made {
  int meter, series;
  int64_t ns, value; /* tokens: thousandths */
};
struct naive_charge {
  enum kind kind;
  char name[48];
  seconds from, to, due; /* due, opening: of fees with intervals of their own */
  bool opening;
  int128 e12;
};
/* What was charged of a fee for an interval, as long as nothing cuts it short. */
struct spell {
  struct span whole;
  seconds from, until;
  int64_t price, count, times;
  int part; /* that it began in */
};
struct oracle {
  const struct deal *deal;
  struct naive_part parts[PARTS_MAX];
  int part_count;
  VEC(struct naive_charge) fees; /* with intervals of their own, of all time */
  VEC(struct spell) spells;
  struct event_made events[EVENTS_MAX];
  int event_count;
};

/* ---- rationals ---- */

/* Half-even, as an integer. */
static inline int128 nearest(const mpq_t q) {
  mpz_t twice, den;
  mpz_inits(twice, den, NULL);
  mpz_mul_ui(twice, mpq_numref(q), 2);
  mpz_add(twice, twice, mpq_denref(q));
  mpz_mul_ui(den, mpq_denref(q), 2);
  bool tie = mpz_divisible_p(twice, den) != 0;
  mpz_fdiv_q(twice, twice, den);
  if (tie && mpz_odd_p(twice)) {
    mpz_sub_ui(twice, twice, 1);
  }
  bool negative = mpz_sgn(twice) < 0;
  uint64_t limbs[2] = {0};
  must(mpz_sizeinbase(twice, 2) < 127);
  mpz_export(limbs, NULL, -1, 8, 0, 0, twice);
  mpz_clears(twice, den, NULL);
  int128 size = (int128)((uint128)limbs[1] << 64 | limbs[0]);
  return negative ? -size : size;
}

static inline void times(mpq_t q, int64_t num, int64_t den) {
  mpq_t f;
  mpq_init(f);
  mpq_set_si(f, num, (unsigned long)den);
  mpq_canonicalize(f);
  mpq_mul(q, q, f);
  mpq_clear(f);
}

static inline int128 to_e12(const mpq_t money) {
  mpq_t q;
  mpq_init(q);
  mpq_set(q, money);
  times(q, 1000000000000, 1);
  int128 found = nearest(q);
  mpq_clear(q);
  return found;
}

/* price x count x times x part of a whole, rounded once. */
static inline int128 fee_amount(int64_t price, int64_t count, int64_t often, seconds part, seconds whole) {
  mpq_t q;
  mpq_init(q);
  mpq_set_ui(q, 1, 1);
  times(q, price, 1000000);
  times(q, count, 1000);
  times(q, often, 1000);
  times(q, part, whole);
  int128 found = to_e12(q);
  mpq_clear(q);
  return found;
}

/* ---- parts ---- */

static inline struct span own_period(const struct deal *d, seconds t) {
  return period_around(t, d->day, d->cadence_months, d->first_month);
}

static inline seconds effect_of(const struct deal *d, const struct contract_terms *c, const struct change_terms *x) {
  if (x->when == PERIOD_END) {
    struct span p = own_period(d, x->at);
    return p.from == x->at ? x->at : p.to;
  }
  if (x->when == TERM_END) {
    int n = 1;
    while (add_months(c->from, n * c->term_months) <= x->at) {
      n++;
    }
    return add_months(c->from, n * c->term_months);
  }
  return x->at;
}

static inline seconds phase_end(const struct contract_terms *c, int phase) {
  seconds t = c->from;
  for (int i = 0; i <= phase; i++) {
    const struct phase_terms *p = &c->phases[i];
    t = p->months ? add_months(t, p->months) : p->days ? add_days(t, p->days) : t + 3600 * p->hours;
  }
  return t;
}

static inline void apply_add_ons(struct naive_part *p, const struct change_terms *x) {
  int kept = 0;
  for (int i = 0; i < p->add_on_count; i++) {
    bool gone = x->removed[p->add_ons[i].plan - PLANS];
    for (int k = 0; k < x->add_on_count; k++) {
      gone = gone || x->add_ons[k].plan == p->add_ons[i].plan;
    }
    if (!gone) {
      p->add_ons[kept++] = p->add_ons[i];
    }
  }
  for (int k = 0; k < x->add_on_count; k++) {
    must(kept < ADD_ONS);
    p->add_ons[kept++] = x->add_ons[k];
  }
  p->add_on_count = kept;
}

/* Everything that took effect by `t`, from the beginning on. */
static inline struct naive_part part_at(const struct deal *d, const struct contract_terms *c, int number, seconds t) {
  struct naive_part p = {.contract = c, .number = number, .from = t, .planned = c->to, .plan = c->plan};
  bool new_plan = false;
  p.cause = t == c->from ? START : PHASE;
  memcpy(p.counts, c->counts, sizeof p.counts);
  memcpy(p.counted, c->counted, sizeof p.counted);
  memcpy(p.add_ons, c->add_ons, sizeof p.add_ons);
  p.add_on_count = c->add_on_count;
  bool done[CHANGES] = {false};
  for (int n = 0; n < c->change_count; n++) {
    int next = -1;
    for (int i = 0; i < c->change_count; i++) {
      bool sooner = next < 0 || effect_of(d, c, &c->changes[i]) < effect_of(d, c, &c->changes[next]);
      next = !done[i] && sooner ? i : next;
    }
    const struct change_terms *x = &c->changes[next];
    seconds effect = effect_of(d, c, x);
    done[next] = true;
    if (effect > t) {
      break;
    }
    p.cause = effect == t ? CHANGE : p.cause;
    p.plan = x->plan >= 0 ? x->plan : p.plan;
    new_plan = new_plan || x->plan >= 0;
    for (int i = 0; i < NAMES; i++) {
      p.counts[i] = x->counted[i] ? x->counts[i] : p.counts[i];
      p.counted[i] = p.counted[i] || x->counted[i];
    }
    apply_add_ons(&p, x);
  }
  for (int i = c->phase_count - 1; i >= 0 && !new_plan; i--) {
    if (phase_end(c, i) > t) {
      p.plan = c->phases[i].plan;
      p.planned = phase_end(c, i) < c->to ? phase_end(c, i) : c->to;
    }
  }
  return p;
}

static inline seconds next_border(const struct deal *d, const struct contract_terms *c, seconds t, seconds end,
                                  seconds phases_until) {
  seconds next = end;
  for (int i = 0; i < c->change_count; i++) {
    seconds e = effect_of(d, c, &c->changes[i]);
    next = e > t && e < next ? e : next;
  }
  for (int i = 0; i < c->phase_count; i++) {
    seconds e = phase_end(c, i);
    next = e > t && e < next && e <= phases_until ? e : next;
  }
  return next;
}

static inline void cut_contract(struct oracle *o, int number) {
  const struct contract_terms *c = &o->deal->contracts[number];
  seconds end = c->to, phases_until = FOREVER;
  for (int i = 0; i < c->change_count; i++) {
    seconds e = effect_of(o->deal, c, &c->changes[i]);
    end = c->changes[i].cancels && e < end ? e : end;
    phases_until = c->changes[i].plan >= 0 && e < phases_until ? e : phases_until;
  }
  for (seconds t = c->from; t < end;) {
    must(o->part_count < PARTS_MAX);
    struct naive_part p = part_at(o->deal, c, number, t);
    p.to = next_border(o->deal, c, t, end, phases_until);
    for (int i = 0; i < c->change_count; i++) {
      p.keeps = p.keeps || (c->changes[i].keeps && effect_of(o->deal, c, &c->changes[i]) == p.to);
    }
    o->parts[o->part_count++] = p;
    t = p.to;
  }
}

static inline const struct naive_part *neighbour(const struct oracle *o, int part, int step) {
  int i = part + step;
  return i >= 0 && i < o->part_count && o->parts[i].number == o->parts[part].number ? &o->parts[i] : NULL;
}

/* ---- terms ---- */

static inline const struct terms *version_at(const struct deal *d, int plan, seconds t) {
  int v = d->plans[plan].version_count - 1;
  while (d->plans[plan].valid_from[v] > t) {
    v--;
  }
  return &d->plans[plan].versions[v];
}

/* Seats: the contract's own terms, the plan, one add-on, the other. NULL when the part has none there. */
static inline const struct terms *seat_at(const struct oracle *o, const struct naive_part *p, int seat, seconds t,
                                          int64_t *often) {
  *often = 1000;
  if (seat == 0) {
    return p->contract->has_own ? &p->contract->own : NULL;
  }
  if (seat == 1) {
    return version_at(o->deal, p->plan, t);
  }
  for (int i = 0; i < p->add_on_count; i++) {
    if (p->add_ons[i].plan == PLANS + seat - 2) {
      *often = p->add_ons[i].count;
      return version_at(o->deal, p->add_ons[i].plan, t);
    }
  }
  return NULL;
}

struct fee_key {
  int seat, name;
  enum every every;
  bool in_advance;
};

/* Price, count and times of a fee as they are in the part at t. */
static inline bool fee_held(const struct oracle *o, const struct naive_part *p, struct fee_key k, seconds t,
                            struct spell *out) {
  int64_t often;
  const struct terms *terms = seat_at(o, p, k.seat, t, &often);
  for (int i = 0; terms && i < terms->fee_count; i++) {
    const struct fee_terms *f = &terms->fees[i];
    if (f->name == k.name && f->every == k.every && f->in_advance == k.in_advance) {
      out->price = f->price;
      out->count = p->counted[f->name] ? p->counts[f->name] : f->count;
      out->times = often;
      return true;
    }
  }
  return false;
}

static inline struct span interval_at(const struct oracle *o, const struct naive_part *p, enum every every, seconds t) {
  if (every == MONTH) {
    return month_around(t, o->deal->day);
  }
  int length = every == YEAR ? 12 : 3, n = 0;
  while (add_months(p->contract->from, (n + 1) * length) <= t) {
    n++;
  }
  return (struct span){add_months(p->contract->from, n * length), add_months(p->contract->from, (n + 1) * length)};
}

static inline bool opens(const struct oracle *o, const struct naive_part *p) {
  return p->cause == START || (p->cause == PHASE && own_period(o->deal, p->from).from != p->from);
}

/* ---- fees with intervals of their own ---- */

static inline void add_fee(struct oracle *o, struct fee_key k, const struct spell *s, struct span part, seconds due,
                           bool opening, bool credit) {
  struct naive_charge c = {.kind = FEE, .from = part.from, .to = part.to, .due = due, .opening = opening};
  seconds length = k.every == ONCE ? 1 : part.to - part.from, whole = k.every == ONCE ? 1 : s->whole.to - s->whole.from;
  c.e12 = fee_amount(s->price, s->count, s->times, length, whole);
  c.e12 = credit ? -c.e12 : c.e12;
  snprintf(c.name, sizeof c.name, "%s%s", fee_names[k.name], credit ? ", unused time" : "");
  vec_push(&o->fees, c);
}

static inline seconds sooner(seconds a, seconds b) {
  return a < b ? a : b;
}

static inline seconds later(seconds a, seconds b) {
  return a > b ? a : b;
}

static inline bool same_money(const struct spell *a, const struct spell *b) {
  return a->price == b->price && a->count == b->count && a->times == b->times;
}

/* At s a part or an interval begins: what runs is carried on, credited, or begun. `*runs` is an index into the spells,
 * below 0 when nothing runs. */
static inline void meet_border(struct oracle *o, int part, struct fee_key k, seconds s, int *runs) {
  const struct naive_part *p = &o->parts[part], *before = neighbour(o, part, -1);
  struct spell now = {.whole = interval_at(o, p, k.every, s), .from = s, .part = part};
  bool held = fee_held(o, p, k, s, &now), opening = s == p->from && opens(o, p);
  now.until = sooner(now.whole.to, p->planned);
  struct spell *old = *runs >= 0 ? &o->spells.items[*runs] : NULL;
  if (old && old->until > s) {
    if (held && same_money(old, &now)) {
      if (now.until > old->until) {
        add_fee(o, k, &now, (struct span){old->until, now.until}, s, opening, false);
        old->until = now.until;
      }
      return;
    }
    if (!before->keeps) {
      add_fee(o, k, old, (struct span){s, old->until}, s, false, true);
    }
    old->until = s;
  }
  *runs = -1;
  if (held) {
    add_fee(o, k, &now, (struct span){s, now.until}, s, opening, false);
    *runs = (int)o->spells.count;
    vec_push(&o->spells, now);
  }
}

static inline void end_contract(struct oracle *o, const struct naive_part *p, struct fee_key k, int runs) {
  struct spell *old = runs >= 0 ? &o->spells.items[runs] : NULL;
  if (old && old->until > p->to) {
    if (!p->keeps) {
      add_fee(o, k, old, (struct span){p->to, old->until}, p->to, false, true);
    }
    old->until = p->to;
  }
}

static inline void run_in_advance(struct oracle *o, struct fee_key k) {
  int runs = -1;
  for (int i = 0; i < o->part_count; i++) {
    const struct naive_part *p = &o->parts[i];
    runs = neighbour(o, i, -1) ? runs : -1;
    for (seconds s = p->from; s < p->to && s <= o->deal->to + HORIZON_S;) {
      meet_border(o, i, k, s, &runs);
      s = interval_at(o, p, k.every, s).to;
    }
    if (!neighbour(o, i, 1)) {
      end_contract(o, p, k, runs);
    }
  }
}

static inline void run_in_arrears(struct oracle *o, struct fee_key k) {
  for (int i = 0; i < o->part_count; i++) {
    const struct naive_part *p = &o->parts[i];
    for (seconds s = p->from; s < p->to && s <= o->deal->to + HORIZON_S;) {
      struct spell now = {.whole = interval_at(o, p, k.every, s), .from = s, .part = i};
      now.until = sooner(now.whole.to, p->to);
      if (fee_held(o, p, k, s, &now)) {
        add_fee(o, k, &now, (struct span){s, now.until}, now.until, false, false);
        vec_push(&o->spells, now);
      }
      s = now.until;
    }
  }
}

/* A part carries on what the one before had when that began. */
static inline bool once_is_new(const struct oracle *o, int part, struct fee_key k) {
  struct spell ignored;
  const struct naive_part *before = neighbour(o, part, -1);
  return !before || !fee_held(o, before, k, before->from, &ignored);
}

static inline void run_once(struct oracle *o, struct fee_key k) {
  for (int i = 0; i < o->part_count; i++) {
    const struct naive_part *p = &o->parts[i];
    struct spell now = {.from = p->from, .until = p->planned};
    if (fee_held(o, p, k, p->from, &now) && once_is_new(o, i, k)) {
      add_fee(o, k, &now, (struct span){p->from, p->planned}, p->from, opens(o, p), false);
    }
  }
}

static inline void run_fees(struct oracle *o) {
  for (int seat = 0; seat < SEATS; seat++) {
    for (int name = 0; name < NAMES; name++) {
      static const enum every all[] = {MONTH, QUARTER, YEAR};
      for (int i = 0; i < 3; i++) {
        run_in_advance(o, (struct fee_key){seat, name, all[i], true});
        if (all[i] != MONTH) {
          run_in_arrears(o, (struct fee_key){seat, name, all[i], false});
        }
      }
      run_once(o, (struct fee_key){seat, name, ONCE, true});
    }
  }
}

static inline void oracle_begin(struct oracle *o, const struct deal *deal) {
  o->deal = deal;
  for (int i = 0; i < deal->contract_count; i++) {
    cut_contract(o, i);
  }
  run_fees(o);
}

static inline void oracle_end(struct oracle *o) {
  vec_free(&o->fees);
  vec_free(&o->spells);
}
#endif
