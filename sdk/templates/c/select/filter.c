// Keeps lines that hold one of some words.

#include "weir.h"

static const weir_bytes *words;
static size_t word_count;

static bool open(const weir_params *params, weir_buffer *prefilter, weir_error *error) {
  (void)error; // all is checked that can be wrong
  words = weir_texts(params, "words", &word_count);
  // A promise: a line that this expression doesn't match is never kept. Weir matches it natively, so that most lines
  // never come here. `weir filter test` holds you to it.
  for (size_t i = 0; i < word_count; i++) {
    if (i) weir_append_text(prefilter, "|");
    weir_append_quoted_regex(prefilter, words[i]);
  }
  return true;
}

static bool keep(const weir_line *line) {
  for (size_t i = 0; i < word_count; i++) {
    if (weir_find(line->message, words[i])) return true;
  }
  return false;
}

static const weir_param params[] = {{
    .name = "words",
    .type = WEIR_TEXTS,
    .description = "Words, one of which a line must hold; case makes a difference.",
    .fallback = "[\"ERROR\",\"panic\"]",
    .least = 1,
}};

const weir_filter weir_definition = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Keeps lines that hold one of some words",
    .kind = WEIR_SELECT,
    .params = params,
    .param_count = sizeof params / sizeof *params,
    .open = open,
    .keep = keep,
};
