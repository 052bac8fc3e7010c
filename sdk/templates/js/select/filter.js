// Keeps lines that hold one of some words.

import { Finder, quoteRegex, select } from "./weir/weir.js";

export const filter = select({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Keeps lines that hold one of some words",
  params: {
    words: {
      description: "Words, one of which a line must hold; case makes a difference.",
      type: "array",
      items: { type: "string" },
      minItems: 1,
      default: ["ERROR", "panic"],
    },
  },
  open({ words }) {
    const finders = words.map((word) => new Finder(word));
    return {
      // A promise: a line that this expression doesn't match is never kept. Weir matches it natively, so that most lines
      // never come here. `weir filter test` holds you to it.
      prefilter: words.map(quoteRegex).join("|"),

      // `line.message` is the line as text; to find something in its bytes is faster.
      keep: (line) => finders.some((finder) => finder.isIn(line)),
    };
  },
});
