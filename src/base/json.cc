// JSON into a tree: simdjson's on-demand parser walks the text once; numbers keep their token, strings are unescaped.
#include <cstring>
#include <memory>
#include <simdjson.h>
#include <utility>
extern "C" {
#include "base/hash.h"
#include "base/json.h"
}

namespace ondemand = simdjson::ondemand;
using Failure = simdjson::error_code;

namespace {

// Objects up to this many members are searched for a repeated name one by one.
constexpr uint32_t kFewMembers = 16;

struct Reader {
  struct arena *arena;
  struct error *err;
  const char *begin;
  ondemand::document *document;
  int values;
};

bool fail(Reader &r, const char *why) {
  const char *at = nullptr;
  if (r.document != nullptr && r.document->current_location().get(at) == simdjson::SUCCESS && at >= r.begin) {
    return error_set(r.err, ERR_INVALID, "JSON: %s, near byte %zu", why, static_cast<size_t>(at - r.begin));
  }
  return error_set(r.err, ERR_INVALID, "JSON: %s", why);
}

bool fail(Reader &r, Failure code) {
  return fail(r, simdjson::error_message(code));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

size_t skip_digits(std::string_view s, size_t i) {
  while (i < s.size() && is_digit(s[i])) {
    i++;
  }
  return i;
}

// RFC 8259 number; the token was not looked into by the parser.
bool is_number(std::string_view s) {
  size_t i = !s.empty() && s[0] == '-' ? 1 : 0, begin = i;
  i = skip_digits(s, i);
  if (i == begin || (s[begin] == '0' && i - begin > 1)) {
    return false;
  }
  if (i < s.size() && s[i] == '.') {
    begin = i + 1;
    i = skip_digits(s, begin);
    if (i == begin) {
      return false;
    }
  }
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    begin = i + 1 + (i + 1 < s.size() && (s[i + 1] == '+' || s[i + 1] == '-') ? 1 : 0);
    i = skip_digits(s, begin);
    if (i == begin) {
      return false;
    }
  }
  return i == s.size();
}

bool keep_text(Reader &r, std::string_view text, slice *out) {
  if (std::memchr(text.data(), 0, text.size()) != nullptr) {
    return fail(r, "a NUL byte in a string");
  }
  *out = arena_copy(r.arena, slice{text.data(), text.size()});
  return true;
}

template <typename Value> bool read_value(Reader &r, Value &value, struct json *node, int depth);

template <typename Value> bool read_string(Reader &r, Value &value, struct json *node) {
  std::string_view text;
  if (Failure code = value.get_string().get(text)) {
    return fail(r, code);
  }
  node->kind = JSON_STRING;
  return keep_text(r, text, &node->text);
}

template <typename Value> bool read_number(Reader &r, Value &value, struct json *node) {
  std::string_view token;
  if (Failure code = simdjson::simdjson_result<std::string_view>(value.raw_json_token()).get(token)) {
    return fail(r, code);
  }
  while (!token.empty() && std::memchr(" \t\r\n", token.back(), 4) != nullptr) {
    token.remove_suffix(1);
  }
  if (!is_number(token)) {
    return fail(r, "a malformed number");
  }
  node->kind = JSON_NUMBER;
  node->text = arena_copy(r.arena, slice{token.data(), token.size()});
  return true;
}

bool add_child(Reader &r, struct json *parent, struct json **last, struct json *child) {
  uint32_t most = parent->kind == JSON_ARRAY ? JSON_ELEMENTS_MAX : JSON_MEMBERS_MAX;
  if (parent->count == most) {
    return error_set(r.err, ERR_LIMIT, "JSON: an %s has more than %u members",
                     parent->kind == JSON_ARRAY ? "array" : "object", most);
  }
  if (++r.values > JSON_VALUES_MAX) {
    return error_set(r.err, ERR_LIMIT, "JSON: more than %d values", JSON_VALUES_MAX);
  }
  if (*last == nullptr) {
    parent->child = child;
  } else {
    (*last)->next = child;
  }
  *last = child;
  parent->count++;
  return true;
}

template <typename Value> bool read_array(Reader &r, Value &value, struct json *node, int depth) {
  ondemand::array array;
  struct json *last = nullptr;
  node->kind = JSON_ARRAY;
  if (Failure code = value.get_array().get(array)) {
    return fail(r, code);
  }
  for (auto element : array) {
    ondemand::value inner;
    if (Failure code = element.get(inner)) {
      return fail(r, code);
    }
    auto *child = static_cast<struct json *>(arena_alloc(r.arena, sizeof(struct json)));
    if (!add_child(r, node, &last, child) || !read_value(r, inner, child, depth + 1)) {
      return false;
    }
  }
  return true;
}

// Once there are many, names are kept in a map, or a hostile object would cost the square of its size.
bool is_repeated(const struct json *object, const struct json *child, struct map *names) {
  if (object->count <= kFewMembers) {
    for (const struct json *other = object->child; other != child; other = other->next) {
      if (slice_eq(other->key, child->key)) {
        return true;
      }
    }
    return false;
  }
  if (names->count == 0) {
    for (const struct json *other = object->child; other != child; other = other->next) {
      *map_put(names, other->key) = names;
    }
  }
  void **place = map_put(names, child->key);
  bool repeated = *place != nullptr;
  *place = names;
  return repeated;
}

bool read_members(Reader &r, ondemand::object &object, struct json *node, struct map *names, int depth) {
  struct json *last = nullptr;
  for (auto member : object) {
    ondemand::field field;
    std::string_view key;
    if (Failure code = std::move(member).get(field)) {
      return fail(r, code);
    }
    if (Failure code = field.unescaped_key().get(key)) {
      return fail(r, code);
    }
    auto *child = static_cast<struct json *>(arena_alloc(r.arena, sizeof(struct json)));
    if (!keep_text(r, key, &child->key) || !add_child(r, node, &last, child)) {
      return false;
    }
    if (is_repeated(node, child, names)) {
      return error_set(r.err, ERR_INVALID, "JSON: the key \"%.*s\" stands twice in one object",
                       static_cast<int>(child->key.len > 60 ? 60 : child->key.len), child->key.ptr);
    }
    ondemand::value inner = field.value();
    if (!read_value(r, inner, child, depth + 1)) {
      return false;
    }
  }
  return true;
}

template <typename Value> bool read_object(Reader &r, Value &value, struct json *node, int depth) {
  ondemand::object object;
  struct map names = {nullptr, 0, 0};
  node->kind = JSON_OBJECT;
  if (Failure code = value.get_object().get(object)) {
    return fail(r, code);
  }
  bool ok = read_members(r, object, node, &names, depth);
  map_free(&names);
  return ok;
}

template <typename Value> bool read_literal(Reader &r, Value &value, struct json *node, bool is_null) {
  if (is_null) {
    node->kind = JSON_NULL;
    bool null = false;
    if (Failure code = simdjson::simdjson_result<bool>(value.is_null()).get(null)) {
      return fail(r, code);
    }
    return null || fail(r, "a word that is neither true, false nor null");
  }
  node->kind = JSON_BOOL;
  if (Failure code = value.get_bool().get(node->boolean)) {
    return fail(r, code);
  }
  return true;
}

template <typename Value> bool read_value(Reader &r, Value &value, struct json *node, int depth) {
  ondemand::json_type type;
  if (depth > JSON_DEPTH_MAX) {
    return error_set(r.err, ERR_LIMIT, "JSON: nested deeper than %d", JSON_DEPTH_MAX);
  }
  if (Failure code = value.type().get(type)) {
    return fail(r, code);
  }
  switch (type) {
  case ondemand::json_type::array:
    return read_array(r, value, node, depth);
  case ondemand::json_type::object:
    return read_object(r, value, node, depth);
  case ondemand::json_type::number:
    return read_number(r, value, node);
  case ondemand::json_type::string:
    return read_string(r, value, node);
  case ondemand::json_type::boolean:
    return read_literal(r, value, node, false);
  case ondemand::json_type::null:
    return read_literal(r, value, node, true);
  }
  return fail(r, "an unknown kind of value");
}

// One parser and one padded copy a thread, kept for the next text.
struct Workshop {
  ondemand::parser parser;
  std::unique_ptr<char[]> text;
  size_t capacity = 0;

  char *padded(slice source) {
    if (capacity < source.len + simdjson::SIMDJSON_PADDING) {
      capacity = (source.len + simdjson::SIMDJSON_PADDING) * 2;
      text = std::make_unique<char[]>(capacity);
    }
    if (source.len > 0) {
      std::memcpy(text.get(), source.ptr, source.len);
    }
    std::memset(text.get() + source.len, ' ', simdjson::SIMDJSON_PADDING);
    return text.get();
  }
};

} // namespace

extern "C" bool json_parse(struct arena *arena, slice text, const struct json **out, struct error *err) {
  thread_local Workshop workshop;
  char *copy = workshop.padded(text);
  ondemand::document document;
  Reader r = {arena, err, copy, nullptr, 0};
  if (Failure code = workshop.parser.iterate(copy, text.len, text.len + simdjson::SIMDJSON_PADDING).get(document)) {
    return fail(r, code);
  }
  r.document = &document;
  bool scalar = true;
  if (Failure code = document.is_scalar().get(scalar)) {
    return fail(r, code);
  }
  if (scalar) {
    return fail(r, "an object or an array should stand here");
  }
  auto *root = static_cast<struct json *>(arena_alloc(arena, sizeof(struct json)));
  if (!read_value(r, document, root, 0)) {
    return false;
  }
  const char *rest = nullptr;
  if (document.current_location().get(rest) == simdjson::SUCCESS) {
    return fail(r, "more text after the value");
  }
  *out = root;
  return true;
}
