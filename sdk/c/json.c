// JSON, read and written, and the buffers that it is written to. What is read comes from the host, which has checked it.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void *weir_allocate(size_t size) {
  void *at = malloc(size ? size : 1);
  if (!at) abort();
  return at;
}

void weir_append(weir_buffer *buffer, const void *bytes, size_t length) {
  if (length > buffer->capacity - buffer->length) {
    buffer->capacity = 2 * buffer->capacity + length + 64;
    buffer->at = realloc(buffer->at, buffer->capacity);
    if (!buffer->at) abort();
  }
  if (length) memcpy(buffer->at + buffer->length, bytes, length);
  buffer->length += length;
}

void weir_append_text(weir_buffer *buffer, const char *text) { weir_append(buffer, text, strlen(text)); }

void weir_append_quoted_regex(weir_buffer *buffer, weir_bytes text) {
  for (size_t i = 0; i < text.length; i++) {
    if (text.at[i] && strchr("\\.+*?()|[]{}^$#&-~", text.at[i])) weir_append(buffer, "\\", 1);
    weir_append(buffer, text.at + i, 1);
  }
}

const char *weir_find(weir_bytes bytes, weir_bytes needle) {
  if (!needle.length) return bytes.at;
  const char *at = bytes.at, *end = bytes.at + bytes.length;
  while ((size_t)(end - at) >= needle.length) {
    at = memchr(at, needle.at[0], (size_t)(end - at) - needle.length + 1);
    if (!at) return NULL;
    if (memcmp(at, needle.at, needle.length) == 0) return at;
    at++;
  }
  return NULL;
}

void weir_append_json_text(weir_buffer *json, weir_bytes text) {
  weir_append(json, "\"", 1);
  for (size_t i = 0; i < text.length; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if (c == '"' || c == '\\') {
      weir_append(json, "\\", 1);
      weir_append(json, &c, 1);
    } else if (c < 0x20) {
      const char digits[] = "0123456789abcdef";
      char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
      weir_append(json, escape, sizeof escape);
    } else {
      weir_append(json, &c, 1);
    }
  }
  weir_append(json, "\"", 1);
}

// Whole numbers up to 2^53 exactly, others to six places.
void weir_append_number(weir_buffer *buffer, double number) {
  if (!isfinite(number)) number = 0;
  if (number < 0) weir_append(buffer, "-", 1);
  number = fabs(number);
  double whole = floor(number);
  unsigned long long millionths = (unsigned long long)((number - whole) * 1e6 + 0.5);
  char digits[400];
  size_t at = sizeof digits;
  if (millionths >= 1000000) whole += 1, millionths = 0;
  if (millionths) {
    for (int place = 0; place < 6; place++, millionths /= 10) digits[--at] = (char)('0' + millionths % 10);
    digits[--at] = '.';
  }
  do digits[--at] = (char)('0' + (int)fmod(whole, 10));
  while ((whole = floor(whole / 10)) > 0);
  weir_append(buffer, digits + at, sizeof digits - at);
}

static void member(weir_buffer *json, const char *name) {
  if (json->length && json->at[json->length - 1] != '{') weir_append(json, ",", 1);
  weir_append_json_text(json, (weir_bytes){name, strlen(name)});
  weir_append(json, ":", 1);
}

void weir_json_number(weir_buffer *json, const char *name, double value) {
  member(json, name);
  weir_append_number(json, value);
}

void weir_json_text(weir_buffer *json, const char *name, weir_bytes value) {
  member(json, name);
  weir_append_json_text(json, value);
}

void weir_json_begin(weir_buffer *json, const char *name) {
  member(json, name);
  weir_append(json, "{", 1);
}

void weir_json_end(weir_buffer *json) { weir_append(json, "}", 1); }

static void skip_space(weir_json *json) {
  while (json->at < json->end && memchr(" \t\r\n", *json->at, 4)) json->at++;
}

char weir_json_peek(weir_json *json) {
  skip_space(json);
  if (json->at == json->end) return 0;
  return *json->at == '-' || (*json->at >= '0' && *json->at <= '9') ? '0' : *json->at;
}

bool weir_json_take(weir_json *json, char mark) {
  skip_space(json);
  if (json->at == json->end || *json->at != mark) return false;
  json->at++;
  return true;
}

static unsigned read_hex(weir_json *json) {
  unsigned value = 0;
  for (int i = 0; i < 4 && json->at < json->end; i++, json->at++) {
    char c = *json->at;
    value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

static void append_character(weir_buffer *text, unsigned point) {
  char bytes[4];
  size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; point >>= 6) bytes[i] = (char)(0x80 | (point & 0x3f));
  const unsigned marks[] = {0, 0xc0, 0xe0, 0xf0};
  bytes[0] = (char)(marks[length - 1] | point);
  weir_append(text, bytes, length);
}

weir_bytes weir_json_read_text(weir_json *json) {
  weir_buffer text = {0};
  if (!weir_json_take(json, '"')) abort();
  while (json->at < json->end && *json->at != '"') {
    if (*json->at != '\\') {
      weir_append(&text, json->at++, 1);
      continue;
    }
    json->at++;
    char c = *json->at++;
    const char *escapes = "b\bf\fn\nr\rt\t";
    const char *escape = memchr(escapes, c, 10);
    if (c == 'u') {
      unsigned point = read_hex(json);
      if (point >= 0xd800 && point < 0xdc00 && json->end - json->at >= 6) {
        json->at += 2;
        point = 0x10000 + ((point - 0xd800) << 10) + (read_hex(json) - 0xdc00);
      }
      append_character(&text, point);
    } else if (escape) {
      weir_append(&text, escape + 1, 1);
    } else {
      weir_append(&text, &c, 1);
    }
  }
  json->at++;
  return (weir_bytes){text.at ? text.at : "", text.length};
}

double weir_json_read_number(weir_json *json) {
  weir_bytes number = weir_json_skip(json);
  char *text = weir_allocate(number.length + 1);
  memcpy(text, number.at, number.length);
  text[number.length] = 0;
  double value = strtod(text, NULL);
  free(text);
  return value;
}

weir_bytes weir_json_skip(weir_json *json) {
  skip_space(json);
  const char *start = json->at;
  int depth = 0;
  bool in_text = false;
  for (; json->at < json->end; json->at++) {
    char c = *json->at;
    if (in_text) {
      if (c == '\\') json->at++;
      else if (c == '"') in_text = false;
    } else if (depth == 0 && json->at > start && memchr(",]} \t\r\n", c, 7)) {
      break;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return (weir_bytes){start, (size_t)(json->at - start)};
}
