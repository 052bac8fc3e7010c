// Cuts long lines.

#include <string.h>

#include "weir.h"

static size_t limit;

static bool open(const weir_params *params, weir_buffer *prefilter, weir_error *error) {
  (void)error; // all is checked that can be wrong
  limit = (size_t)weir_number(params, "bytes");
  // A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most
  // lines never come here. `weir filter test` holds you to it.
  char digits[8];
  size_t at = sizeof digits;
  for (size_t rest = limit + 1; rest; rest /= 10) digits[--at] = (char)('0' + rest % 10);
  weir_append_text(prefilter, "(?s-u:.{");
  weir_append(prefilter, digits + at, sizeof digits - at);
  weir_append_text(prefilter, "})");
  return true;
}

static void shorten(const weir_line *line, weir_out *out) {
  if (line->message.length <= limit) return;
  size_t end = limit;
  // A byte of this form goes on with a character that began before it.
  while (end && (line->message.at[end] & 0xc0) == 0x80) end--;
  static weir_buffer text;
  text.length = 0;
  weir_append(&text, line->message.at, end);
  weir_append_text(&text, "…");
  weir_replace(out, (weir_bytes){text.at, text.length});
  weir_json_number(weir_fields(out), "bytes", (double)line->message.length);
}

static const weir_param params[] = {{
    .name = "bytes",
    .type = WEIR_INTEGER,
    .description = "A line with more bytes than this is cut.",
    .fallback = "100",
    .least = 10,
    .most = 1000,
}};

const weir_filter weir_definition = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Cuts long lines, and adds how long they were",
    .kind = WEIR_TRANSFORM,
    .params = params,
    .param_count = sizeof params / sizeof *params,
    .open = open,
    .line = shorten,
};
