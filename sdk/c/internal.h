// What the files of the SDK know of each other, and a filter doesn't.
#ifndef WEIR_INTERNAL_H
#define WEIR_INTERNAL_H

#include "weir.h"

// The schema of all parameters together.
void weir_append_schema(weir_buffer *schema);
// Checks the given parameters and fills in fallbacks. NULL when they are refused; the error's texts live on.
const weir_params *weir_parse_params(weir_bytes json, weir_error *error);

// A JSON text, quoted.
void weir_append_json_text(weir_buffer *json, weir_bytes text);
void weir_append_number(weir_buffer *buffer, double number);
void *weir_allocate(size_t size);

// A place in JSON text.
typedef struct {
  const char *at, *end;
} weir_json;

// The kind of the value that comes next: one of `"`, `{`, `[`, `t`, `f`, `n`, `0` for any number.
char weir_json_peek(weir_json *json);
// Takes a punctuation mark, if it comes next.
bool weir_json_take(weir_json *json, char mark);
// Reads a text, which must come next, and owns the result.
weir_bytes weir_json_read_text(weir_json *json);
double weir_json_read_number(weir_json *json);
// Passes over any value; gives its text.
weir_bytes weir_json_skip(weir_json *json);

#endif
