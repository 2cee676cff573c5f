/* Exact arithmetic over the columns of a record: + - * / and brackets, in fractions, so that nothing is rounded. */
#include "meter/private.h"
#include <string.h>

#define NODES_MAX 64
#define DEPTH_MAX 16

struct node {
  char kind; /* 'n' number, 'c' column, or an operator */
  quantity number;
  slice column;
  size_t index;
  struct node *left, *right;
};
struct csv_expression {
  struct node *root;
  size_t count;
};
struct parser {
  struct arena *arena;
  slice rest, all;
  size_t nodes;
  struct error *err;
};

static bool bad(struct parser *p, const char *why) {
  return error_set(p->err, ERR_INVALID, "expression \"%.*s\": %s", p->all.len > 100 ? 100 : (int)p->all.len, p->all.ptr,
                   why);
}

static void skip_blanks(struct parser *p) {
  while (p->rest.len > 0 && (p->rest.ptr[0] == ' ' || p->rest.ptr[0] == '\t')) {
    p->rest = (slice){p->rest.ptr + 1, p->rest.len - 1};
  }
}

static char peek(struct parser *p) {
  skip_blanks(p);
  return p->rest.len ? p->rest.ptr[0] : '\0';
}

static void advance(struct parser *p, size_t bytes) {
  p->rest = (slice){p->rest.ptr + bytes, p->rest.len - bytes};
}

static struct node *new_node(struct parser *p, char kind, struct node *left, struct node *right) {
  if (p->nodes++ == NODES_MAX) {
    bad(p, "too long");
    return NULL;
  }
  struct node *n = arena_alloc(p->arena, sizeof *n);
  *n = (struct node){.kind = kind, .left = left, .right = right};
  return n;
}

static struct node *parse_sum(struct parser *p, int depth);

static size_t word_length(slice s, bool number) {
  size_t n = 0;
  while (n < s.len && !strchr(number ? " \t+-*/()" : " \t+*/()", s.ptr[n])) {
    n++;
  }
  return n;
}

static struct node *parse_leaf(struct parser *p) {
  bool number = p->rest.ptr[0] >= '0' && p->rest.ptr[0] <= '9';
  size_t length = word_length(p->rest, number);
  slice word = {p->rest.ptr, length};
  struct node *n = length ? new_node(p, number ? 'n' : 'c', NULL, NULL) : NULL;
  if (length == 0) {
    bad(p, "a column or a number should stand here");
  }
  if (n == NULL) {
    return NULL;
  }
  advance(p, length);
  if (number && !quantity_parse(word, &n->number, p->err)) {
    return NULL;
  }
  n->column = arena_copy(p->arena, word);
  return n;
}

static struct node *parse_factor(struct parser *p, int depth) {
  char c = peek(p);
  if (depth > DEPTH_MAX || c == '\0') {
    bad(p, c ? "nested too deeply" : "it ends too early");
    return NULL;
  }
  if (c != '(') {
    return parse_leaf(p);
  }
  advance(p, 1);
  struct node *inner = parse_sum(p, depth + 1);
  if (inner == NULL) {
    return NULL;
  }
  if (peek(p) != ')') {
    bad(p, "a closing bracket is missing");
    return NULL;
  }
  advance(p, 1);
  return inner;
}

static struct node *parse_product(struct parser *p, int depth) {
  struct node *left = parse_factor(p, depth);
  while (left && (peek(p) == '*' || peek(p) == '/')) {
    char op = p->rest.ptr[0];
    advance(p, 1);
    struct node *right = parse_factor(p, depth);
    left = right ? new_node(p, op, left, right) : NULL;
  }
  return left;
}

static struct node *parse_sum(struct parser *p, int depth) {
  struct node *left = parse_product(p, depth);
  while (left && (peek(p) == '+' || peek(p) == '-')) {
    char op = p->rest.ptr[0];
    advance(p, 1);
    struct node *right = parse_product(p, depth);
    left = right ? new_node(p, op, left, right) : NULL;
  }
  return left;
}

bool expression_parse(struct arena *arena, slice text, struct csv_expression **out, struct error *err) {
  struct parser p = {.arena = arena, .rest = text, .all = text, .err = err};
  struct csv_expression *e = arena_alloc(arena, sizeof *e);
  e->root = parse_sum(&p, 0);
  if (e->root == NULL) {
    return false;
  }
  *out = e;
  return peek(&p) == '\0' || bad(&p, "an operator is missing");
}

static bool bind(struct node *n, bool (*find)(void *context, slice column, size_t *index, struct error *err),
                 void *context, struct error *err) {
  if (n == NULL) {
    return true;
  }
  if (n->kind == 'c' && !find(context, n->column, &n->index, err)) {
    return false;
  }
  return bind(n->left, find, context, err) && bind(n->right, find, context, err);
}

bool expression_bind(struct csv_expression *e,
                     bool (*find)(void *context, slice column, size_t *index, struct error *err), void *context,
                     struct error *err) {
  return bind(e->root, find, context, err);
}

/* ---- evaluation in fractions ---- */

struct fraction {
  int128 top, bottom; /* bottom > 0; value x 1e9 for leaves keeps decimals whole */
};

static int128 gcd(int128 a, int128 b) {
  if (a < 0) {
    a = -a;
  }
  while (b != 0) {
    int128 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static struct fraction lowest(int128 top, int128 bottom) {
  int128 g = gcd(top, bottom);
  if (g > 1) {
    top /= g;
    bottom /= g;
  }
  return bottom < 0 ? (struct fraction){-top, -bottom} : (struct fraction){top, bottom};
}

static bool combine(char op, struct fraction a, struct fraction b, struct fraction *out, struct error *err) {
  int128 x, y, top, bottom;
  if (op == '/') {
    if (b.top == 0) {
      return error_set(err, ERR_INVALID, "the expression divides by zero");
    }
    b = lowest(b.bottom, b.top);
    op = '*';
  }
  bool over = __builtin_mul_overflow(a.bottom, b.bottom, &bottom);
  if (op == '*') {
    over = over || __builtin_mul_overflow(a.top, b.top, &top);
  } else {
    over = over || __builtin_mul_overflow(a.top, b.bottom, &x) || __builtin_mul_overflow(b.top, a.bottom, &y);
    over = over || (op == '+' ? __builtin_add_overflow(x, y, &top) : __builtin_sub_overflow(x, y, &top));
  }
  if (over) {
    return error_set(err, ERR_OVERFLOW, "the expression's value is out of range");
  }
  *out = lowest(top, bottom);
  return true;
}

static bool evaluate(const struct node *n, const slice *fields, size_t field_count, struct fraction *out,
                     struct error *err) {
  struct fraction a, b;
  quantity q = n->number;
  if (n->kind == 'n' || n->kind == 'c') {
    if (n->kind == 'c') {
      must(n->index < field_count);
      if (!quantity_parse(slice_trim(fields[n->index]), &q, err)) {
        return error_at(err, "column " SLICE_FMT, SLICE_ARG(n->column));
      }
    }
    *out = lowest(q.e9, QUANTITY_E9);
    return true;
  }
  return evaluate(n->left, fields, field_count, &a, err) && evaluate(n->right, fields, field_count, &b, err) &&
         combine(n->kind, a, b, out, err);
}

bool expression_value(const struct csv_expression *e, const slice *fields, size_t field_count, quantity *out,
                      struct error *err) {
  struct fraction f;
  if (!evaluate(e->root, fields, field_count, &f, err)) {
    return false;
  }
  must(f.bottom > 0);
  if (QUANTITY_E9 % f.bottom != 0) {
    return error_set(err, ERR_INVALID, "the expression's value does not end within 9 decimals");
  }
  return int128_muldiv(f.top, QUANTITY_E9, f.bottom, ROUND_HALF_EVEN, &out->e9, err);
}
