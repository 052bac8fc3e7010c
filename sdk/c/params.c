// Parameters: their schema, and what is given against it.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// One value. What it is follows from its parameter's type.
typedef struct {
  weir_bytes text;
  weir_bytes *texts;
  size_t count;
  double number;
  bool is_given, is_true;
} value;

struct weir_params {
  value *values;
};

static weir_bytes bytes(const char *text) { return (weir_bytes){text, strlen(text)}; }

static bool is_bounded(const weir_param *param) { return param->least != 0 || param->most != 0; }

void weir_append_schema(weir_buffer *schema) {
  static const char *const types[] = {"string", "array", "integer", "number", "boolean"};
  weir_buffer required = {0};
  weir_append_text(schema, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
  for (size_t i = 0; i < weir_definition.param_count; i++) {
    const weir_param *param = &weir_definition.params[i];
    weir_json_begin(schema, param->name);
    weir_json_text(schema, "description", bytes(param->description));
    weir_json_text(schema, "type", bytes(types[param->type]));
    bool many = param->type == WEIR_TEXTS;
    if (many) weir_append_text(schema, ",\"items\":{\"type\":\"string\"}");
    if (is_bounded(param)) {
      weir_json_number(schema, many ? "minItems" : "minimum", param->least);
      if (param->most > 0 || !many) weir_json_number(schema, many ? "maxItems" : "maximum", param->most);
    }
    if (param->fallback) {
      weir_append_text(schema, ",\"default\":");
      weir_append_text(schema, param->fallback);
    } else {
      if (required.length) weir_append(&required, ",", 1);
      weir_append_json_text(&required, bytes(param->name));
    }
    weir_json_end(schema);
  }
  weir_append_text(schema, "},\"required\":[");
  weir_append(schema, required.at, required.length);
  weir_append_text(schema, "]}");
  free(required.at);
}

static const char *ended(weir_buffer text) {
  weir_append(&text, "", 1);
  return text.at;
}

// What would be right for a parameter.
static void append_due(weir_buffer *text, const weir_param *param) {
  static const char *const due[] = {"a text", "a list of texts", "a whole number", "a number", "true or false"};
  weir_append_text(text, "; give ");
  weir_append_text(text, due[param->type]);
  if (!is_bounded(param)) return;
  weir_append_text(text, param->type == WEIR_TEXTS ? " with at least " : " of at least ");
  weir_append_number(text, param->least);
  if (param->most <= 0 && param->type == WEIR_TEXTS) return;
  weir_append_text(text, " and at most ");
  weir_append_number(text, param->most);
}

static bool within(const weir_param *param, double size) {
  if (!is_bounded(param)) return true;
  bool open_ended = param->type == WEIR_TEXTS && param->most <= 0;
  return size >= param->least && (open_ended || size <= param->most);
}

static bool read_texts(weir_json *json, value *into) {
  if (!weir_json_take(json, '[')) return false;
  while (weir_json_peek(json) != ']') {
    if (weir_json_peek(json) != '"') return false;
    into->texts = realloc(into->texts, (into->count + 1) * sizeof *into->texts);
    if (!into->texts) abort();
    into->texts[into->count++] = weir_json_read_text(json);
    weir_json_take(json, ',');
  }
  return weir_json_take(json, ']');
}

// Reads a value of the parameter's type; false when it is none.
static bool read_value(weir_json *json, const weir_param *param, value *into) {
  char next = weir_json_peek(json);
  into->is_given = true;
  switch (param->type) {
    case WEIR_TEXT:
      if (next != '"') return false;
      into->text = weir_json_read_text(json);
      return true;
    case WEIR_TEXTS:
      return read_texts(json, into) && within(param, (double)into->count);
    case WEIR_INTEGER:
    case WEIR_NUMBER:
      if (next != '0') return false;
      into->number = weir_json_read_number(json);
      if (param->type == WEIR_INTEGER && into->number != trunc(into->number)) return false;
      return within(param, into->number);
    case WEIR_BOOLEAN:
      into->is_true = next == 't';
      weir_json_skip(json);
      return next == 't' || next == 'f';
  }
  return false;
}

static size_t index_of(weir_bytes name) {
  size_t i = 0;
  for (; i < weir_definition.param_count; i++) {
    const char *known = weir_definition.params[i].name;
    if (strlen(known) == name.length && memcmp(known, name.at, name.length) == 0) break;
  }
  return i;
}

static const char *unknown(void) {
  weir_buffer text = {0};
  weir_append_text(&text, "is not a parameter; ");
  weir_append_text(&text, weir_definition.param_count ? "there are: " : "there are none");
  for (size_t i = 0; i < weir_definition.param_count; i++) {
    if (i) weir_append_text(&text, ", ");
    weir_append_text(&text, weir_definition.params[i].name);
  }
  return ended(text);
}

const weir_params *weir_parse_params(weir_bytes given, weir_error *error) {
  value *values = weir_allocate(weir_definition.param_count * sizeof *values);
  memset(values, 0, weir_definition.param_count * sizeof *values);
  weir_json json = {given.at, given.at + given.length};
  if (!weir_json_take(&json, '{')) {
    *error = (weir_error){"", "is no JSON object"};
    return NULL;
  }
  while (weir_json_peek(&json) == '"') {
    weir_bytes name = weir_json_read_text(&json);
    weir_json_take(&json, ':');
    size_t i = index_of(name);
    if (i == weir_definition.param_count) {
      weir_buffer field = {0};
      weir_append(&field, name.at, name.length);
      *error = (weir_error){ended(field), unknown()};
      return NULL;
    }
    const weir_param *param = &weir_definition.params[i];
    weir_json before = json;
    if (!read_value(&json, param, &values[i])) {
      weir_buffer text = {0};
      weir_bytes wrong = weir_json_skip(&before);
      weir_append_text(&text, "is ");
      weir_append(&text, wrong.at, wrong.length);
      append_due(&text, param);
      *error = (weir_error){param->name, ended(text)};
      return NULL;
    }
    weir_json_take(&json, ',');
  }
  for (size_t i = 0; i < weir_definition.param_count; i++) {
    const weir_param *param = &weir_definition.params[i];
    if (values[i].is_given) continue;
    if (!param->fallback) {
      weir_buffer text = {0};
      weir_append_text(&text, "is missing");
      append_due(&text, param);
      *error = (weir_error){param->name, ended(text)};
      return NULL;
    }
    weir_json fallback = {param->fallback, param->fallback + strlen(param->fallback)};
    if (!read_value(&fallback, param, &values[i])) abort();
  }
  weir_params *params = weir_allocate(sizeof *params);
  params->values = values;
  return params;
}

static const value *value_of(const weir_params *params, const char *name, weir_type type) {
  size_t i = index_of(bytes(name));
  if (i == weir_definition.param_count || weir_definition.params[i].type != type) abort();
  return &params->values[i];
}

weir_bytes weir_text(const weir_params *params, const char *name) { return value_of(params, name, WEIR_TEXT)->text; }

const weir_bytes *weir_texts(const weir_params *params, const char *name, size_t *count) {
  const value *value = value_of(params, name, WEIR_TEXTS);
  *count = value->count;
  return value->texts;
}

double weir_number(const weir_params *params, const char *name) {
  size_t i = index_of(bytes(name));
  bool is_whole = i < weir_definition.param_count && weir_definition.params[i].type == WEIR_INTEGER;
  return value_of(params, name, is_whole ? WEIR_INTEGER : WEIR_NUMBER)->number;
}

bool weir_boolean(const weir_params *params, const char *name) {
  return value_of(params, name, WEIR_BOOLEAN)->is_true;
}
