// Hides the values of fields written as name=value.

#include <string.h>

#include "weir.h"

enum { MOST = 64 };

// Each with its `=`.
static weir_bytes fields[MOST];
static size_t field_count;

static bool open(const weir_params *params, weir_buffer *prefilter, weir_error *error) {
  (void)error; // all is checked that can be wrong
  const weir_bytes *names = weir_texts(params, "fields", &field_count);
  for (size_t i = 0; i < field_count; i++) {
    weir_buffer field = {0};
    weir_append(&field, names[i].at, names[i].length);
    weir_append_text(&field, "=");
    fields[i] = (weir_bytes){field.at, field.length};
  }
  // A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most
  // lines never come here. `weir filter test` holds you to it.
  weir_append_text(prefilter, "=");
  return true;
}

// Where the first value begins, or NULL.
static const char *next(weir_bytes message) {
  const char *first = NULL;
  for (size_t i = 0; i < field_count; i++) {
    const char *at = weir_find(message, fields[i]);
    if (at && (!first || at + fields[i].length < first)) first = at + fields[i].length;
  }
  return first;
}

static void hide(const weir_line *line, weir_out *out) {
  static weir_buffer hidden;
  hidden.length = 0;
  const char *end = line->message.at + line->message.length;
  weir_bytes rest = line->message;
  for (const char *value; (value = next(rest));) {
    weir_append(&hidden, rest.at, (size_t)(value - rest.at));
    weir_append_text(&hidden, "***");
    while (value < end && !memchr(" \t\n\r\f", *value, 5)) value++;
    rest = (weir_bytes){value, (size_t)(end - value)};
  }
  if (!hidden.length) return;
  weir_append(&hidden, rest.at, rest.length);
  weir_replace(out, (weir_bytes){hidden.at, hidden.length});
}

static const weir_param params[] = {{
    .name = "fields",
    .type = WEIR_TEXTS,
    .description = "Names of the fields.",
    .fallback = "[\"password\",\"token\"]",
    .least = 1,
    .most = MOST,
}};

const weir_filter weir_definition = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Hides the values of fields written as name=value",
    .kind = WEIR_REDACT,
    .params = params,
    .param_count = sizeof params / sizeof *params,
    .open = open,
    .line = hide,
};
