/* Inside documents: an XML writer over libxml2 that takes slices and keeps its first failure. */
#ifndef METERHOUSE_DOCUMENTS_XML_H
#define METERHOUSE_DOCUMENTS_XML_H
#include "base/base.h"

struct xml;
struct xml *xml_new(struct arena *arena);
/* An element with the children written until xml_close. */
void xml_open(struct xml *x, const char *name);
void xml_close(struct xml *x);
void xml_attribute(struct xml *x, const char *name, const char *value);
/* An element with text. Characters that XML has no place for become U+FFFD. */
void xml_text(struct xml *x, const char *name, slice text);
/* The same with one attribute. */
void xml_text_with(struct xml *x, const char *name, const char *attribute, const char *value, slice text);
/* Appends the whole to `out` and frees the writer; false + ERR_LIMIT or ERR_IO when something was not written. */
MUST_USE bool xml_end(struct xml *x, struct buf *out, struct error *err);
#endif
