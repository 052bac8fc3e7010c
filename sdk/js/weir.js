// What a log filter for Weir imports: one function for each line. Batches, offsets and the encoding of verdicts are its
// business. The types of all of it are in weir.d.ts.

import { Finder } from "./finder.js";
import { objectSchema, ParamError, parse } from "./params.js";
import { concat, decode, encode } from "./utf8.js";

export { concat, decode, encode, Finder, ParamError };

const [KEEP, DROP, REPLACE, STOP] = [0, 1, 2, 3];

/** A filter that keeps or drops lines and never changes one. */
export const select = (definition) =>
  contract("select", definition, (filter) => {
    const isDone = filter.isDone ? () => filter.isDone() : () => false;
    return (line, out) => {
      if (isDone()) out.stop();
      else if (!filter.keep(line)) out.drop();
    };
  });

/** A filter that may rewrite lines. */
export const transform = (definition) =>
  contract("transform", definition, (filter) => (line, out) => filter.line(line, out));

/** A filter that rewrites lines, and whose failure withholds the line. */
export const redact = (definition) =>
  contract("redact", definition, (filter) => (line, out) => filter.line(line, out));

/** A filter that looks at every line and tells a summary at the end. */
export const aggregate = (definition) =>
  contract("aggregate", definition, (filter) => (line, out) => {
    filter.line(line);
    if (!definition.passLines) out.drop();
  });

/** A regular expression that matches a text and nothing else, for a prefilter. */
export const quoteRegex = (text) => text.replace(/[\\.+*?()|[\]{}^$#&\-~]/g, "\\$&");

class Line {
  // Filled for each line of a batch; a filter that keeps one keeps its `message` instead.
  at = 0;
  batch = null;
  source = null;

  // A part of the block, which nobody may write to.
  get bytes() {
    return this.batch.block.subarray(this.batch.starts[this.at], this.batch.ends[this.at]);
  }
  get message() {
    return decode(this.batch.block, this.batch.starts[this.at], this.batch.ends[this.at]);
  }
  get timeNs() {
    const time = this.batch.timestamps[this.at];
    return time === undefined || time === -1 ? null : time;
  }
  get isStderr() {
    return (this.batch.attrs[this.at] & 1) !== 0;
  }
  get isTruncated() {
    return (this.batch.attrs[this.at] & 2) !== 0;
  }
  get isMalformed() {
    return (this.batch.attrs[this.at] & 4) !== 0;
  }
}

class Out {
  begin() {
    this.code = KEEP;
    this.replaced = null;
    this.fields = null;
    this.problem = null;
  }
  drop() {
    this.code = DROP;
  }
  replace(message) {
    this.code = REPLACE;
    this.replaced = typeof message === "string" ? encode(message) : message;
  }
  addField(name, value) {
    this.fields ??= {};
    this.fields[name] = value;
  }
  stop() {
    this.code = STOP;
  }
  fail(message) {
    this.problem = message;
  }
}

/** Bytes one behind the other, and where each ends. */
class Arena {
  parts = [];
  ends = [];

  push(bytes) {
    this.parts.push(bytes);
    this.ends.push((this.ends.at(-1) ?? 0) + bytes.length);
  }
  get bytes() {
    return concat(this.parts);
  }
}

/** The functions of the contract (wit/filter.wit) for a definition; `step` decides about a line. */
function contract(kind, definition, makeStep) {
  const { name, version, summary, params = {}, columns = ["message"] } = definition;
  const sources = new Map();
  const [line, out] = [new Line(), new Out()];
  let filter, step;

  return {
    describe: () => ({ name, version, kind, summary, paramsSchema: JSON.stringify(objectSchema(params)) }),

    open(given) {
      try {
        filter = definition.open(parse(given, params));
      } catch (error) {
        throw { field: error.field ?? "", message: String(error.message ?? error) };
      }
      step = makeStep(filter);
      return {
        columns: Object.fromEntries(columns.map((column) => [column, true])),
        prefilter: kind === "aggregate" ? null : filter.prefilter ?? null,
      };
    },

    beginSource(id, meta) {
      const source = { id, ...meta, labels: Object.fromEntries(meta.labels) };
      sources.set(id, source);
      return filter.beginSource && filter.beginSource(source) === false ? "skip" : "scan";
    },

    process(id, block, starts, ends, timestamps, attrs) {
      line.batch = { block, starts, ends, timestamps, attrs };
      line.source = sources.get(id) ?? { id };
      const count = Math.max(starts.length, timestamps.length, attrs.length);
      const codes = new Uint8Array(count);
      const [messages, objects, annotated] = [new Arena(), new Arena(), []];
      for (let index = 0; index < count; index++) {
        line.at = index;
        out.begin();
        try {
          step(line, out);
        } catch (error) {
          out.fail(String(error));
        }
        if (out.problem !== null) throw { index, message: out.problem };
        if (out.code === STOP) {
          codes.fill(STOP, index);
          break;
        }
        codes[index] = out.code;
        if (out.code === REPLACE) messages.push(out.replaced);
        if (out.fields && out.code !== DROP) {
          annotated.push(index);
          objects.push(encode(JSON.stringify(out.fields)));
        }
      }
      return {
        codes,
        replacedEnds: messages.ends,
        replacedBytes: messages.bytes,
        annotated,
        annotationEnds: objects.ends,
        annotationBytes: objects.bytes,
      };
    },

    finish: () => (kind === "aggregate" ? filter.finish().map((item) => JSON.stringify(item)) : []),

    diagnostics: () => filter?.diagnostics?.() ?? [],
  };
}
