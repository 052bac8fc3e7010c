// Texts and their bytes in UTF-8. The engine that filters run in has no TextDecoder.

const CHUNK = 8192;

/** The text of `bytes[start..end]`; what isn't UTF-8 becomes U+FFFD. */
export function decode(bytes, start = 0, end = bytes.length) {
  let text = "";
  for (let at = start; at < end; at += CHUNK) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + CHUNK)));
  }
  return /[\x80-\xff]/.test(text) ? decodeSlowly(bytes, start, end) : text;
}

function decodeSlowly(bytes, start, end) {
  const points = [];
  let text = "";
  for (let at = start; at < end; ) {
    const first = bytes[at++];
    let point = first;
    if (first >= 0x80) {
      // How many bytes follow, and the least of the first of them: no character has two spellings.
      const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
      let [least, most] = [0x80, 0xbf];
      if (first === 0xe0) least = 0xa0;
      if (first === 0xed) most = 0x9f;
      if (first === 0xf0) least = 0x90;
      if (first === 0xf4) most = 0x8f;
      point = first & (0x3f >> more);
      let left = first < 0xc2 || first > 0xf4 ? -1 : more;
      for (; left > 0 && at < end && bytes[at] >= least && bytes[at] <= most; left--) {
        point = (point << 6) | (bytes[at++] & 0x3f);
        [least, most] = [0x80, 0xbf];
      }
      if (left !== 0) point = 0xfffd;
    }
    points.push(point);
    if (points.length === CHUNK) text += String.fromCodePoint.apply(null, points.splice(0));
  }
  return text + String.fromCodePoint.apply(null, points);
}

/** The bytes of a text; a lone surrogate becomes U+FFFD. */
export function encode(text) {
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let point = text.charCodeAt(at);
    if (point < 0x80) {
      bytes[length++] = point;
      continue;
    }
    if (point >= 0xd800 && point < 0xe000) {
      point = text.codePointAt(at);
      if (point >= 0x10000) at++;
      else point = 0xfffd;
    }
    if (point < 0x800) {
      bytes[length++] = 0xc0 | (point >> 6);
    } else {
      if (point < 0x10000) {
        bytes[length++] = 0xe0 | (point >> 12);
      } else {
        bytes[length++] = 0xf0 | (point >> 18);
        bytes[length++] = 0x80 | ((point >> 12) & 0x3f);
      }
      bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
    }
    bytes[length++] = 0x80 | (point & 0x3f);
  }
  return bytes.subarray(0, length);
}

/** Bytes one behind the other. */
export function concat(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
