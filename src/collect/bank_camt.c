/* Bank files as camt.053 (ISO 20022, all versions): booked credits, a payment for each transaction of an entry. */
#include "collect/private.h"
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACE "urn:iso:std:iso:20022:tech:xsd:camt.053."

struct reading {
  const char *name, *zone;
  const struct bank_hooks *hooks;
  struct bank_ids ids;
  struct arena *arena; /* of an entry */
  slice account;
  size_t entries;
};

/* ---- the tree ---- */

static bool is_element(const xmlNode *n, const char *name) {
  return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

static const xmlNode *next_named(const xmlNode *n, const char *name) {
  while (n && !is_element(n, name)) {
    n = n->next;
  }
  return n;
}

/* The first element of that path below `n`, such as "Refs/EndToEndId". */
static const xmlNode *below(const xmlNode *n, const char *path) {
  char name[40];
  while (n && *path) {
    size_t length = strcspn(path, "/");
    must(length < sizeof name);
    memcpy(name, path, length);
    name[length] = '\0';
    n = next_named(n->children, name);
    path += length + (path[length] == '/');
  }
  return n;
}

/* Text directly in an element; blanks and line breaks in a row become one blank. */
static slice text_of(struct arena *arena, const xmlNode *n) {
  struct buf text;
  bool blank = false;
  buf_init(&text, PAYMENT_TEXT_BYTES_MAX + 1); /* one more than is taken, so that too long a text is refused */
  for (const xmlNode *child = n ? n->children : NULL; child; child = child->next) {
    bool words = child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE;
    for (const xmlChar *c = words ? child->content : NULL; c && *c; c++) {
      if (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r') {
        blank = text.len > 0;
        continue;
      }
      if (blank) {
        buf_addc(&text, ' ');
      }
      blank = false;
      buf_addc(&text, (char)*c);
    }
  }
  slice copy = arena_copy(arena, buf_slice(&text));
  buf_free(&text);
  return copy;
}

static slice text_at(struct arena *arena, const xmlNode *n, const char *path) {
  const xmlNode *found = below(n, path);
  return found ? text_of(arena, found) : (slice){0};
}

static slice attribute(struct arena *arena, const xmlNode *n, const char *name) {
  for (const xmlAttr *a = n ? n->properties : NULL; a; a = a->next) {
    if (strcmp((const char *)a->name, name) == 0) {
      return text_of(arena, (const xmlNode *)a);
    }
  }
  return (slice){0};
}

/* ---- parts of an entry ---- */

static void join(struct buf *to, slice words) {
  if (words.len == 0 || slice_is(words, "NOTPROVIDED")) {
    return;
  }
  if (to->len > 0) {
    buf_addc(to, ' ');
  }
  buf_add(to, words);
}

/* All that may hold an invoice's number. */
static void join_references(struct arena *arena, const xmlNode *transaction, struct buf *to) {
  const xmlNode *remittance = below(transaction, "RmtInf");
  for (const xmlNode *n = remittance ? remittance->children : NULL; n; n = n->next) {
    if (is_element(n, "Ustrd")) {
      join(to, text_of(arena, n));
    } else if (is_element(n, "Strd")) {
      join(to, text_at(arena, n, "CdtrRefInf/Ref"));
      join(to, text_at(arena, n, "RfrdDocInf/Nb"));
      join(to, text_at(arena, n, "AddtlRmtInf"));
    }
  }
  join(to, text_at(arena, transaction, "Refs/EndToEndId"));
}

static bool take_text(struct arena *arena, const struct buf *text, slice *out, struct error *why) {
  *out = arena_copy(arena, buf_slice(text));
  return !text->failed ||
         error_set(why, ERR_INVALID, "the remittance information has more than %d bytes", PAYMENT_TEXT_BYTES_MAX);
}

static slice payer_of(struct arena *arena, const xmlNode *transaction) {
  slice name = text_at(arena, transaction, "RltdPties/Dbtr/Nm");
  return name.len ? name : text_at(arena, transaction, "RltdPties/Dbtr/Pty/Nm");
}

static bool take_money(struct arena *arena, const xmlNode *amount_node, struct payment_request *out,
                       struct error *why) {
  if (amount_node == NULL) {
    return error_set(why, ERR_INVALID, "Amt is missing");
  }
  out->currency = attribute(arena, amount_node, "Ccy");
  return amount_parse(text_of(arena, amount_node), &out->amount, why) || error_at(why, "Amt");
}

static bool take_date(const struct reading *r, const xmlNode *entry, instant *out, struct error *why) {
  static const char *const paths[] = {"BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    slice text = text_at(r->arena, entry, paths[i]);
    if (text.len > 0) {
      return time_parse_loose(text, r->zone, out, why) || error_at(why, "%s", paths[i]);
    }
  }
  return error_set(why, ERR_INVALID, "BookgDt is missing");
}

/* ---- entries ---- */

/* Why an entry is no incoming payment; NULL when it is one. */
static const char *not_incoming(const struct reading *r, const xmlNode *entry) {
  slice status = text_at(r->arena, entry, "Sts"), code = text_at(r->arena, entry, "Sts/Cd");
  if (slice_is(text_at(r->arena, entry, "RvslInd"), "true")) {
    return "it is a reversal";
  }
  if (!slice_is(text_at(r->arena, entry, "CdtDbtInd"), "CRDT")) {
    return "it is a debit";
  }
  return slice_is(status, "BOOK") || slice_is(code, "BOOK") ? NULL : "it is not booked";
}

/* Of a batch whose transactions have amounts that sum to the entry's: each is a payment. Else the entry is one. */
static size_t transactions_of(const struct reading *r, const xmlNode *entry, amount total) {
  struct error ignored = {0};
  size_t count = 0;
  amount sum = AMOUNT_ZERO, value;
  for (const xmlNode *d = entry->children; d; d = d->next) {
    for (const xmlNode *t = is_element(d, "NtryDtls") ? d->children : NULL; t; t = t->next) {
      if (!is_element(t, "TxDtls")) {
        continue;
      }
      const xmlNode *own = below(t, "Amt"), *detailed = own ? own : below(t, "AmtDtls/TxAmt/Amt");
      if (detailed == NULL || !amount_parse(text_of(r->arena, detailed), &value, &ignored) ||
          !amount_add(sum, value, &sum, &ignored)) {
        return 0;
      }
      count++;
    }
  }
  return amount_cmp(sum, total) == 0 ? count : 0;
}

static bool hand_over(struct reading *r, uint64_t line, struct payment_request *p, slice reference, size_t number,
                      struct error *err) {
  if (reference.len == 0) {
    p->key = bank_derived_id(&r->ids, r->arena, p);
  } else {
    p->key =
        slice_of(number ? arena_printf(r->arena, SLICE_FMT "/" SLICE_FMT "/%zu", SLICE_ARG(r->account),
                                       SLICE_ARG(reference), number)
                        : arena_printf(r->arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(r->account), SLICE_ARG(reference)));
  }
  return r->hooks->payment(r->hooks->context, line, p, err);
}

static bool refuse(const struct reading *r, uint64_t line, const struct error *why) {
  r->hooks->refused(r->hooks->context, line, why);
  return true;
}

/* The whole entry, with the words of all its transactions. */
static bool take_whole(struct reading *r, const xmlNode *entry, struct payment_request *p, struct error *err) {
  uint64_t line = (uint64_t)xmlGetLineNo(entry);
  struct buf words;
  struct error why = {0};
  buf_init(&words, PAYMENT_TEXT_BYTES_MAX);
  for (const xmlNode *d = entry->children; d; d = d->next) {
    for (const xmlNode *t = is_element(d, "NtryDtls") ? d->children : NULL; t; t = t->next) {
      if (is_element(t, "TxDtls")) {
        join_references(r->arena, t, &words);
        p->payer = p->payer.len ? p->payer : payer_of(r->arena, t);
      }
    }
  }
  join(&words, text_at(r->arena, entry, "AddtlNtryInf"));
  bool fits = take_text(r->arena, &words, &p->text, &why);
  buf_free(&words);
  slice reference = text_at(r->arena, entry, "AcctSvcrRef");
  return fits ? hand_over(r, line, p, reference, 0, err) : refuse(r, line, &why);
}

static bool take_transaction(struct reading *r, const xmlNode *entry, const xmlNode *t, size_t number,
                             struct payment_request p, struct error *err) {
  uint64_t line = (uint64_t)xmlGetLineNo(t);
  const xmlNode *own = below(t, "Amt");
  struct buf words;
  struct error why = {0};
  buf_init(&words, PAYMENT_TEXT_BYTES_MAX);
  join_references(r->arena, t, &words);
  p.payer = payer_of(r->arena, t);
  bool fits = take_money(r->arena, own ? own : below(t, "AmtDtls/TxAmt/Amt"), &p, &why) &&
              take_text(r->arena, &words, &p.text, &why);
  buf_free(&words);
  if (!fits) {
    return refuse(r, line, &why);
  }
  slice reference = text_at(r->arena, t, "Refs/AcctSvcrRef"), of_entry = text_at(r->arena, entry, "AcctSvcrRef");
  /* A batch's transactions may all bear the reference of their entry. */
  bool own_reference = reference.len > 0 && !slice_eq(reference, of_entry);
  return hand_over(r, line, &p, own_reference ? reference : of_entry, own_reference ? 0 : number, err);
}

static bool take_entry(struct reading *r, const xmlNode *entry, struct error *err) {
  uint64_t line = (uint64_t)xmlGetLineNo(entry);
  struct payment_request p = {.source = PAYMENT_BANK};
  struct error why = {0};
  const char *passed = not_incoming(r, entry);
  if (passed) {
    r->hooks->passed_over(r->hooks->context, line, passed);
    return true;
  }
  if (!take_money(r->arena, below(entry, "Amt"), &p, &why) || !take_date(r, entry, &p.received, &why)) {
    return refuse(r, line, &why);
  }
  size_t count = transactions_of(r, entry, p.amount), number = 0;
  if (count < 2) {
    return take_whole(r, entry, &p, err);
  }
  for (const xmlNode *d = entry->children; d; d = d->next) {
    for (const xmlNode *t = is_element(d, "NtryDtls") ? d->children : NULL; t; t = t->next) {
      if (is_element(t, "TxDtls") && !take_transaction(r, entry, t, ++number, p, err)) {
        return false;
      }
    }
  }
  return true;
}

static bool take_statement(struct reading *r, struct arena *arena, const xmlNode *statement, struct error *err) {
  r->account = text_at(arena, statement, "Acct/Id/IBAN");
  if (r->account.len == 0) {
    r->account = text_at(arena, statement, "Acct/Id/Othr/Id");
  }
  if (r->account.len == 0) {
    return error_set(err, ERR_INVALID, "%s:%ld: Acct/Id is missing: whose account is this?", r->name,
                     xmlGetLineNo(statement));
  }
  for (const xmlNode *n = statement->children; n; n = n->next) {
    if (!is_element(n, "Ntry")) {
      continue;
    }
    if (r->entries++ == BANK_ENTRIES_MAX) {
      return error_set(err, ERR_LIMIT, "%s: at most %d entries: split it", r->name, BANK_ENTRIES_MAX);
    }
    arena_reset(r->arena);
    if (!take_entry(r, n, err)) {
      return false;
    }
  }
  return true;
}

/* ---- the document ---- */

static bool take_document(struct reading *r, const xmlDoc *document, struct error *err) {
  const xmlNode *root = xmlDocGetRootElement(document);
  /* Entities could make a small file large, or name other files: camt.053 has no use for them. */
  if (document->intSubset != NULL || document->extSubset != NULL) {
    return error_set(err, ERR_INVALID, "%s: a document type declaration is not taken: remove <!DOCTYPE>", r->name);
  }
  const char *ns = root && root->ns && root->ns->href ? (const char *)root->ns->href : "";
  if (root == NULL || !is_element(root, "Document") || strncmp(ns, NAMESPACE, strlen(NAMESPACE)) != 0) {
    return error_set(err, ERR_INVALID, "%s: this is not camt.053: <Document xmlns=\"" NAMESPACE "...\"> was expected",
                     r->name);
  }
  const xmlNode *message = below(root, "BkToCstmrStmt");
  if (message == NULL) {
    return error_set(err, ERR_INVALID, "%s: <BkToCstmrStmt> is missing", r->name);
  }
  struct arena *arena = arena_new();
  bool ok = true;
  for (const xmlNode *n = message->children; n && ok; n = n->next) {
    ok = !is_element(n, "Stmt") || take_statement(r, arena, n, err);
  }
  arena_free(arena);
  return ok;
}

static bool not_xml(const struct reading *r, xmlParserCtxt *context, struct error *err) {
  const xmlError *why = xmlCtxtGetLastError(context);
  slice words = slice_trim(slice_of(why && why->message ? why->message : "it can not be read"));
  return error_set(err, ERR_INVALID, "%s:%d: not well-formed XML: %.*s", r->name, why ? why->line : 1,
                   (int)(words.len > 200 ? 200 : words.len), words.ptr);
}

bool bank_camt_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                     struct error *err) {
  struct reading r = {.name = name, .zone = zone, .hooks = hooks, .ids = {.arena = arena_new()}, .arena = arena_new()};
  xmlParserCtxt *context = xmlNewParserCtxt();
  must(context != NULL);
  /* Without XML_PARSE_HUGE libxml2 holds depth to 256 and a name or text to 10 MB; nothing is fetched or expanded. */
  xmlDoc *document = xmlCtxtReadMemory(context, bytes.ptr, (int)bytes.len, NULL, NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);
  bool ok = document ? take_document(&r, document, err) : not_xml(&r, context, err);
  xmlFreeDoc(document);
  xmlFreeParserCtxt(context);
  map_free(&r.ids.occurrences);
  arena_free(r.ids.arena);
  arena_free(r.arena);
  return ok;
}
