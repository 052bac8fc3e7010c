// Cuts long lines.

import { decode, transform } from "./weir/weir.js";

export const filter = transform({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Cuts long lines, and adds how long they were",
  params: {
    bytes: {
      description: "A line with more bytes than this is cut.",
      type: "integer",
      minimum: 10,
      maximum: 1000,
      default: 100,
    },
  },
  open: ({ bytes: limit }) => ({
    // A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most
    // lines never come here. `weir filter test` holds you to it.
    prefilter: `(?s-u:.{${limit + 1}})`,

    line(line, out) {
      const { bytes } = line;
      if (bytes.length <= limit) return;
      let end = limit;
      // A byte of this form goes on with a character that began before it.
      while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
      out.replace(decode(bytes, 0, end) + "…");
      out.addField("bytes", bytes.length);
    },
  }),
});
