// Counts lines by level.

import { aggregate, Finder } from "./weir/weir.js";

export const filter = aggregate({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Counts lines by level",
  params: {
    levels: {
      description: "Words that say how bad it is, the worst first: a line counts for the first that it holds.",
      type: "array",
      items: { type: "string" },
      minItems: 1,
      default: ["ERROR", "WARN", "INFO", "DEBUG"],
    },
  },
  open({ levels }) {
    const finders = levels.map((level) => new Finder(level));
    const found = {};
    let lines = 0;
    return {
      line(line) {
        lines++;
        const level = levels[finders.findIndex((finder) => finder.isIn(line))];
        if (level !== undefined) found[level] = (found[level] ?? 0) + 1;
      },

      // One JSON object for each summary record.
      finish: () => [{ lines, levels: found }],
    };
  },
});
