// Counts lines by level.

#include "weir.h"

enum { MOST = 64 };

static const weir_bytes *levels;
static size_t level_count;
static uint64_t lines, found[MOST];

static bool open(const weir_params *params, weir_buffer *prefilter, weir_error *error) {
  (void)prefilter, (void)error; // it sees every line, and all is checked that can be wrong
  levels = weir_texts(params, "levels", &level_count);
  return true;
}

static void count(const weir_line *line, weir_out *out) {
  (void)out;
  lines++;
  for (size_t i = 0; i < level_count; i++) {
    if (weir_find(line->message, levels[i])) {
      found[i]++;
      return;
    }
  }
}

// The members of the summary.
static void finish(weir_buffer *json) {
  weir_json_number(json, "lines", (double)lines);
  weir_json_begin(json, "levels");
  for (size_t i = 0; i < level_count; i++) {
    weir_buffer name = {0};
    weir_append(&name, levels[i].at, levels[i].length);
    weir_append(&name, "", 1);
    if (found[i]) weir_json_number(json, name.at, (double)found[i]);
  }
  weir_json_end(json);
}

static const weir_param params[] = {{
    .name = "levels",
    .type = WEIR_TEXTS,
    .description = "Words that say how bad it is, the worst first: a line counts for the first that it holds.",
    .fallback = "[\"ERROR\",\"WARN\",\"INFO\",\"DEBUG\"]",
    .least = 1,
    .most = MOST,
}};

const weir_filter weir_definition = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Counts lines by level",
    .kind = WEIR_AGGREGATE,
    .params = params,
    .param_count = sizeof params / sizeof *params,
    .open = open,
    .line = count,
    .finish = finish,
};
