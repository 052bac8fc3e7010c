// Hides the values of fields written as name=value.

import { concat, encode, Finder, redact } from "./weir/weir.js";

export const filter = redact({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Hides the values of fields written as name=value",
  params: {
    fields: {
      description: "Names of the fields.",
      type: "array",
      items: { type: "string" },
      minItems: 1,
      default: ["password", "token"],
    },
  },
  open({ fields }) {
    const finders = fields.map((field) => new Finder(`${field}=`));
    const [mark, space] = [encode("***"), encode(" \t\n\f\r")];

    // Where the first value at or after `from` begins, or Infinity.
    const next = (bytes, from) =>
      finders.reduce((first, finder) => {
        const at = finder.find(bytes, from);
        return at < 0 ? first : Math.min(first, at + finder.needle.length);
      }, Infinity);

    return {
      // A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most
      // lines never come here. `weir filter test` holds you to it.
      prefilter: "=",

      line(line, out) {
        const { bytes } = line;
        const parts = [];
        let done = 0;
        for (let start; (start = next(bytes, done)) < Infinity; ) {
          parts.push(bytes.subarray(done, start), mark);
          done = start;
          while (done < bytes.length && !space.includes(bytes[done])) done++;
        }
        if (parts.length > 0) out.replace(concat([...parts, bytes.subarray(done)]));
      },
    };
  },
});
