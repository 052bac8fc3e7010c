// Looks for a text in bytes without making text of them, which is what costs most in a filter in JavaScript.

import { encode } from "./utf8.js";

// Bytes as often as they are seen in logs, the most frequent first. What isn't here is rarer.
const FREQUENT = encode(" eatoinsrlcdupmhgf10\"2.-:3b4t5/=y6v,w789kTAIESNORCDPLMF_xq{}[]()zj");

/** A text to look for in many lines. */
export class Finder {
  constructor(text) {
    this.needle = encode(text);
    // The engine finds a byte quickly: the one to look for is the rarest of them.
    const rank = (byte) => (FREQUENT.includes(byte) ? FREQUENT.indexOf(byte) : FREQUENT.length);
    this.rarest = 0;
    this.needle.forEach((byte, i) => {
      if (rank(byte) > rank(this.needle[this.rarest])) this.rarest = i;
    });
  }

  /** Where it first stands in `bytes`, at or after `from`; -1 where it doesn't. */
  find(bytes, from = 0) {
    const { needle, rarest } = this;
    if (needle.length === 0) return from;
    for (let at = from + rarest; (at = bytes.indexOf(needle[rarest], at)) >= 0; at++) {
      const start = at - rarest;
      if (start + needle.length > bytes.length) return -1;
      let same = 0;
      while (same < needle.length && bytes[start + same] === needle[same]) same++;
      if (same === needle.length) return start;
    }
    return -1;
  }

  /** Whether a line holds it. */
  isIn(line) {
    return this.find(line.bytes) >= 0;
  }
}
