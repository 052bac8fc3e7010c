// What a log filter for Weir includes: one function for each line. Batches, offsets and the encoding of verdicts are the
// business of the files beside this one. A filter defines `weir_definition`.
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes, UTF-8 or not, without a NUL at their end.
typedef struct {
  const char *at;
  size_t length;
} weir_bytes;

// Bytes in the making; begin with all zero.
typedef struct {
  char *at;
  size_t length, capacity;
} weir_buffer;

void weir_append(weir_buffer *buffer, const void *bytes, size_t length);
void weir_append_text(weir_buffer *buffer, const char *text);
// A regular expression that matches a text and nothing else, for a prefilter.
void weir_append_quoted_regex(weir_buffer *buffer, weir_bytes text);

// Members of a JSON object, behind each other. An object that is a member of another is begun and ended.
void weir_json_number(weir_buffer *json, const char *name, double value);
void weir_json_text(weir_buffer *json, const char *name, weir_bytes value);
void weir_json_begin(weir_buffer *json, const char *name);
void weir_json_end(weir_buffer *json);

// Where the first `needle` stands in `bytes`, or NULL.
const char *weir_find(weir_bytes bytes, weir_bytes needle);

// Where lines come from; texts are empty where that isn't known.
typedef struct {
  uint32_t id, restart;
  weir_bytes namespace, pod, container, node;
  // Pairs of key and value, sorted by key.
  const weir_bytes (*labels)[2];
  size_t label_count;
} weir_source;

// The columns that a filter reads of a line; what isn't named isn't handed over.
enum { WEIR_MESSAGE = 1, WEIR_TIMESTAMP = 2, WEIR_ATTRS = 4 };

// A line; its bytes are valid during the call only.
typedef struct {
  weir_bytes message;
  // Nanoseconds since 1970-01-01T00:00:00Z, -1 where it has none. WEIR_TIMESTAMP.
  int64_t time_ns;
  // Written to standard error; cut at the host's line limit; not of its log format. WEIR_ATTRS.
  bool is_stderr, is_truncated, is_malformed;
  const weir_source *source;
} weir_line;

// Takes what becomes of a line; one about which nothing is said is kept as it is.
typedef struct weir_out weir_out;
void weir_drop(weir_out *out);
void weir_replace(weir_out *out, weir_bytes message);
// Leaves out this line and all later ones of the query.
void weir_stop(weir_out *out);
// Gives the line up; of a redact, it is withheld. `problem` must live on.
void weir_fail(weir_out *out, const char *problem);
// The fields that are added to the line: give it members with weir_json_*.
weir_buffer *weir_fields(weir_out *out);

// What a parameter may be.
typedef enum { WEIR_TEXT, WEIR_TEXTS, WEIR_INTEGER, WEIR_NUMBER, WEIR_BOOLEAN } weir_type;

// A parameter.
typedef struct {
  const char *name;
  weir_type type;
  const char *description;
  // Its value when none is given, in JSON; NULL when one must be given.
  const char *fallback;
  // Bounds of a number, both inclusive, or of how many texts there are. None where both are 0.
  double least, most;
} weir_param;

// Values of the parameters, each by its name, checked; they live as long as the filter. Another name or type than the
// parameter's traps.
typedef struct weir_params weir_params;
weir_bytes weir_text(const weir_params *params, const char *name);
const weir_bytes *weir_texts(const weir_params *params, const char *name, size_t *count);
double weir_number(const weir_params *params, const char *name);
bool weir_boolean(const weir_params *params, const char *name);

// Refuses a parameter: which, what is wrong and what would be right. The texts must live on.
typedef struct {
  const char *field, *message;
} weir_error;

typedef enum { WEIR_SELECT, WEIR_TRANSFORM, WEIR_REDACT, WEIR_AGGREGATE } weir_kind;

// What a filter is. Functions that it has no use for are NULL.
typedef struct {
  // Lower-case, [a-z0-9-]{1,63}, without a dash at either end.
  const char *name;
  // The filter's own, such as 0.1.0.
  const char *version;
  // One line for listings, without a final period.
  const char *summary;
  weir_kind kind;
  // WEIR_MESSAGE and its like; 0 stands for WEIR_MESSAGE.
  unsigned columns;
  const weir_param *params;
  size_t param_count;
  // Whether an aggregate keeps the lines that it counts.
  bool passes_lines;

  // Makes the filter ready. `prefilter` may be filled with a regular expression (syntax of Rust's regex, on bytes) and is a
  // promise: a line that doesn't match is not kept by a select, and comes out unchanged of a transform or redact. Weir
  // matches it natively, so that most lines never come here. False refuses the parameters, with `error` filled.
  bool (*open)(const weir_params *params, weir_buffer *prefilter, weir_error *error);
  // Called before a source's first line; false skips the source.
  bool (*begin_source)(const weir_source *source);
  // Of a select: whether the line is kept.
  bool (*keep)(const weir_line *line);
  // Of the other kinds; `out` is NULL for an aggregate.
  void (*line)(const weir_line *line, weir_out *out);
  // Of an aggregate: the members of its summary.
  void (*finish)(weir_buffer *json);
} weir_filter;

extern const weir_filter weir_definition;

#endif
