// The component model's canonical ABI of the interface `weir:filter/filter` (wit/filter.wit): how its arguments and
// results lie in memory, and the loop over a batch between them.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define CONTRACT(name) EXPORT("weir:filter/filter@0.1.0#" name)

// Of arguments only: results are the SDK's.
EXPORT("cabi_realloc") void *weir_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size, (void)align; // malloc aligns for anything
  if (!size) return (void *)align;
  void *at = realloc(old, size);
  if (!at) abort();
  return at;
}

// An argument of no bytes has no memory to give back.
static void release(const void *at, size_t count) {
  if (count) free((void *)at);
}

enum { KEEP, DROP, REPLACE, STOP };

struct weir_out {
  unsigned char code;
  const char *problem;
  weir_buffer message, fields;
};

void weir_drop(weir_out *out) { out->code = DROP; }
void weir_stop(weir_out *out) { out->code = STOP; }
void weir_fail(weir_out *out, const char *problem) { out->problem = problem; }
weir_buffer *weir_fields(weir_out *out) { return &out->fields; }
void weir_replace(weir_out *out, weir_bytes message) {
  out->code = REPLACE;
  out->message.length = 0;
  weir_append(&out->message, message.at, message.length);
}

// The results of one call: what the host reads at once.
static uintptr_t area[16];
static weir_out out;
static struct {
  weir_buffer codes, replaced_ends, replaced_bytes, annotated, annotation_ends, annotation_bytes;
} verdicts;

static struct known {
  struct known *next;
  weir_source source;
} *sources;

static const weir_source *source_of(uint32_t id) {
  static const weir_source unannounced;
  for (struct known *known = sources; known; known = known->next) {
    if (known->source.id == id) return &known->source;
  }
  return &unannounced;
}

static void put(size_t at, const void *list, size_t length) {
  area[at] = (uintptr_t)list;
  area[at + 1] = length;
}

static void put_text(size_t at, const char *text) { put(at, text, strlen(text)); }

static unsigned columns(void) { return weir_definition.columns ? weir_definition.columns : WEIR_MESSAGE; }

CONTRACT("describe") uintptr_t *weir_describe(void) {
  static weir_buffer schema;
  schema.length = 0;
  weir_append_schema(&schema);
  put_text(0, weir_definition.name);
  put_text(2, weir_definition.version);
  area[4] = weir_definition.kind;
  put_text(5, weir_definition.summary);
  put(7, schema.at, schema.length);
  return area;
}

CONTRACT("open") uintptr_t *weir_open(const char *json, size_t length) {
  static weir_buffer prefilter;
  weir_error error = {"", ""};
  const weir_params *params = weir_parse_params((weir_bytes){json, length}, &error);
  bool is_open = params && (!weir_definition.open || weir_definition.open(params, &prefilter, &error));
  release(json, length);
  area[0] = !is_open;
  if (!is_open) {
    put_text(1, error.field);
    put_text(3, error.message);
    return area;
  }
  area[1] = columns();
  area[2] = prefilter.length > 0 && weir_definition.kind != WEIR_AGGREGATE;
  put(3, prefilter.at, prefilter.length);
  return area;
}

CONTRACT("begin-source")
uint32_t weir_begin_source(uint32_t id, const char *namespace, size_t namespace_length, const char *pod, size_t pod_length,
                           const char *container, size_t container_length, const char *node, size_t node_length,
                           uint32_t restart, const weir_bytes (*labels)[2], size_t label_count) {
  // Sources live as long as the filter, so that their texts stay where they are.
  struct known *known = weir_allocate(sizeof *known);
  known->next = sources;
  known->source = (weir_source){
      .id = id,
      .restart = restart,
      .namespace = {namespace, namespace_length},
      .pod = {pod, pod_length},
      .container = {container, container_length},
      .node = {node, node_length},
      .labels = labels,
      .label_count = label_count,
  };
  sources = known;
  return weir_definition.begin_source && !weir_definition.begin_source(&known->source);
}

static void decide(const weir_line *line) {
  out.code = KEEP;
  out.problem = NULL;
  out.fields.length = 0;
  switch (weir_definition.kind) {
    case WEIR_SELECT:
      if (!weir_definition.keep(line)) out.code = DROP;
      break;
    case WEIR_AGGREGATE:
      weir_definition.line(line, NULL);
      if (!weir_definition.passes_lines) out.code = DROP;
      break;
    default:
      weir_definition.line(line, &out);
  }
}

static void append_offset(weir_buffer *list, size_t offset) {
  uint32_t word = (uint32_t)offset;
  weir_append(list, &word, sizeof word);
}

static void commit(size_t index) {
  if (out.fields.length && (out.code == KEEP || out.code == REPLACE)) {
    append_offset(&verdicts.annotated, index);
    weir_append(&verdicts.annotation_bytes, "{", 1);
    weir_append(&verdicts.annotation_bytes, out.fields.at, out.fields.length);
    weir_append(&verdicts.annotation_bytes, "}", 1);
    append_offset(&verdicts.annotation_ends, verdicts.annotation_bytes.length);
  }
  if (out.code == REPLACE) {
    weir_append(&verdicts.replaced_bytes, out.message.at, out.message.length);
    append_offset(&verdicts.replaced_ends, verdicts.replaced_bytes.length);
  }
  weir_append(&verdicts.codes, &out.code, 1);
}

CONTRACT("process")
uintptr_t *weir_process(uint32_t source, const char *block, size_t block_length, const uint32_t *starts, size_t start_count,
                        const uint32_t *ends, size_t end_count, const int64_t *times, size_t time_count,
                        const unsigned char *attrs, size_t attr_count) {
  weir_buffer *all[] = {&verdicts.codes,     &verdicts.replaced_ends,   &verdicts.replaced_bytes,
                        &verdicts.annotated, &verdicts.annotation_ends, &verdicts.annotation_bytes};
  const size_t unit[] = {1, sizeof(uint32_t), 1, sizeof(uint32_t), sizeof(uint32_t), 1};
  for (size_t i = 0; i < 6; i++) all[i]->length = 0;
  size_t count = start_count > time_count ? start_count : time_count;
  if (attr_count > count) count = attr_count;
  weir_line line = {.source = source_of(source), .time_ns = -1};
  size_t index = 0;
  for (out.problem = NULL; index < count; index++) {
    if (start_count) line.message = (weir_bytes){block + starts[index], ends[index] - starts[index]};
    if (time_count) line.time_ns = times[index];
    if (attr_count) {
      line.is_stderr = attrs[index] & 1, line.is_truncated = attrs[index] & 2, line.is_malformed = attrs[index] & 4;
    }
    decide(&line);
    if (out.problem) break;
    if (out.code == STOP) {
      for (; index < count; index++) weir_append(&verdicts.codes, &out.code, 1);
      break;
    }
    commit(index);
  }
  release(block, block_length), release(starts, start_count), release(ends, end_count);
  release(times, time_count), release(attrs, attr_count);
  area[0] = out.problem != NULL;
  if (out.problem) {
    area[1] = index;
    put_text(2, out.problem);
    return area;
  }
  for (size_t i = 0; i < 6; i++) put(1 + 2 * i, all[i]->at, all[i]->length / unit[i]);
  return area;
}

CONTRACT("finish") uintptr_t *weir_finish(void) {
  static weir_buffer summary;
  static uintptr_t list[2];
  put(0, list, 0);
  if (weir_definition.kind != WEIR_AGGREGATE || !weir_definition.finish) return area;
  summary.length = 0;
  weir_append(&summary, "{", 1);
  weir_definition.finish(&summary);
  weir_append(&summary, "}", 1);
  list[0] = (uintptr_t)summary.at;
  list[1] = summary.length;
  put(0, list, 1);
  return area;
}

CONTRACT("diagnostics") uintptr_t *weir_diagnostics(void) {
  put(0, NULL, 0);
  return area;
}
