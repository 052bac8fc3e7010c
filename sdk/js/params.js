// Parameters against their schemas: a part of JSON Schema, see weir.d.ts.

/** Refuses a parameter: which, what is wrong and what would be right. */
export class ParamError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** The schema of all parameters together. */
export function objectSchema(properties) {
  const required = Object.keys(properties).filter((name) => properties[name].default === undefined);
  return { type: "object", additionalProperties: false, properties, required };
}

/** The parameters in a JSON object, checked, with defaults filled in. */
export function parse(text, properties) {
  const given = JSON.parse(text);
  const names = Object.keys(properties);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) {
      const hint = names.length > 0 ? `there are: ${names.join(", ")}` : "there are none";
      throw new ParamError(name, `is not a parameter; ${hint}`);
    }
  }
  for (const name of names) {
    if (given[name] !== undefined) check(name, given[name], properties[name]);
    else if (properties[name].default === undefined) {
      throw new ParamError(name, `is missing; give ${due(properties[name])}`);
    } else given[name] = properties[name].default;
  }
  return given;
}

function check(field, value, schema) {
  if (!allows(value, schema)) {
    throw new ParamError(field, `is ${JSON.stringify(value)}; give ${due(schema)}`);
  }
  if (schema.items) value.forEach((item, i) => check(`${field}.${i}`, item, schema.items));
}

function allows(value, schema) {
  const within = (size, least = -Infinity, most = Infinity) => size >= least && size <= most;
  if (schema.enum && !schema.enum.includes(value)) return false;
  switch (schema.type) {
    case "string":
      return typeof value === "string" && within([...value].length, schema.minLength);
    case "boolean":
      return typeof value === "boolean";
    case "integer":
    case "number":
      return (
        typeof value === "number" &&
        (schema.type === "number" || Number.isInteger(value)) &&
        within(value, schema.minimum, schema.maximum)
      );
    case "array":
      return Array.isArray(value) && within(value.length, schema.minItems, schema.maxItems);
  }
  return false;
}

const DUE = { string: "a text", boolean: "true or false", integer: "a whole number", number: "a number", array: "a list" };

/** What would be right. */
function due(schema) {
  if (schema.enum) return `one of ${JSON.stringify(schema.enum)}`;
  let text = DUE[schema.type];
  if (schema.minimum !== undefined) text += ` of at least ${schema.minimum}`;
  if (schema.maximum !== undefined) text += ` of at most ${schema.maximum}`;
  for (const least of [schema.minItems, schema.minLength]) {
    if (least !== undefined) text += ` with at least ${least}`;
  }
  if (schema.maxItems !== undefined) text += ` with at most ${schema.maxItems}`;
  return text;
}
