/* An XML writer over libxml2's text writer. */
#include "documents/xml.h"
#include <libxml/xmlwriter.h>
#include <string.h>

struct xml {
  xmlBufferPtr buffer;
  xmlTextWriterPtr writer;
  struct arena *arena;
  bool failed;
};

static void done(struct xml *x, int result) {
  x->failed = x->failed || result < 0;
}

struct xml *xml_new(struct arena *arena) {
  struct xml *x = arena_alloc(arena, sizeof *x);
  x->arena = arena;
  x->buffer = xmlBufferCreate();
  must(x->buffer != NULL);
  x->writer = xmlNewTextWriterMemory(x->buffer, 0);
  must(x->writer != NULL);
  done(x, xmlTextWriterSetIndent(x->writer, 1));
  done(x, xmlTextWriterSetIndentString(x->writer, BAD_CAST "  "));
  done(x, xmlTextWriterStartDocument(x->writer, "1.0", "UTF-8", NULL));
  return x;
}

void xml_open(struct xml *x, const char *name) {
  done(x, xmlTextWriterStartElement(x->writer, BAD_CAST name));
}

void xml_close(struct xml *x) {
  done(x, xmlTextWriterEndElement(x->writer));
}

void xml_attribute(struct xml *x, const char *name, const char *value) {
  done(x, xmlTextWriterWriteAttribute(x->writer, BAD_CAST name, BAD_CAST value));
}

/* Control characters, and U+FFFE and U+FFFF (EF BF BE and EF BF BF), can not stand in XML 1.0, not even escaped. */
static size_t illegal_at(const char *p, size_t left) {
  unsigned char c = (unsigned char)p[0];
  if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
    return 1;
  }
  bool noncharacter = left >= 3 && c == 0xEF && (unsigned char)p[1] == 0xBF && (unsigned char)p[2] >= 0xBE;
  return noncharacter ? 3 : 0;
}

static const char *legal(struct arena *arena, slice text) {
  char *out = arena_alloc(arena, 3 * text.len + 1), *to = out;
  for (size_t i = 0; i < text.len;) {
    size_t bad = illegal_at(text.ptr + i, text.len - i);
    if (bad > 0) {
      memcpy(to, "\xEF\xBF\xBD", 3);
      to += 3;
      i += bad;
    } else {
      *to++ = text.ptr[i++];
    }
  }
  *to = '\0';
  return out;
}

void xml_text_with(struct xml *x, const char *name, const char *attribute, const char *value, slice text) {
  xml_open(x, name);
  if (attribute) {
    xml_attribute(x, attribute, legal(x->arena, slice_of(value)));
  }
  done(x, xmlTextWriterWriteString(x->writer, BAD_CAST legal(x->arena, text)));
  xml_close(x);
}

void xml_text(struct xml *x, const char *name, slice text) {
  xml_text_with(x, name, NULL, NULL, text);
}

bool xml_end(struct xml *x, struct buf *out, struct error *err) {
  done(x, xmlTextWriterEndDocument(x->writer));
  xmlFreeTextWriter(x->writer);
  if (!x->failed) {
    buf_add(out, (slice){(const char *)xmlBufferContent(x->buffer), (size_t)xmlBufferLength(x->buffer)});
  }
  xmlBufferFree(x->buffer);
  if (out->failed) {
    return error_set(err, ERR_LIMIT, "the XML is larger than %zu bytes", out->limit);
  }
  return !x->failed || error_set(err, ERR_IO, "the XML can not be written");
}
