/** A log line. It is valid during the call only: keep its parts, not the line. */
export interface Line {
  /** The message as text, made anew each time: some 50 ns a byte. Bytes that aren't UTF-8 become U+FFFD. Column `message`. */
  readonly message: string;
  /** The message's bytes. Column `message`. */
  readonly bytes: Uint8Array;
  /** Nanoseconds since the epoch, to some 256 ns, or null where the line has no time. Column `timestamp`. */
  readonly timeNs: number | null;
  /** Whether it was written to standard error. Column `attrs`. */
  readonly isStderr: boolean;
  /** Whether it was cut at the host's line limit. Column `attrs`. */
  readonly isTruncated: boolean;
  /** Whether it did not follow its log format, so that the message is the raw line. Column `attrs`. */
  readonly isMalformed: boolean;
  readonly source: Source;
}

/** Where lines come from; texts are empty where that isn't known. */
export interface Source {
  readonly id: number;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly node: string;
  readonly restart: number;
  readonly labels: Record<string, string>;
}

/** Takes what becomes of a line; one about which nothing is said is kept as it is. */
export interface Out {
  drop(): void;
  replace(message: string | Uint8Array): void;
  /** Adds a field to the line: any value that JSON has. */
  addField(name: string, value: unknown): void;
  /** Leaves out this line and all later ones of the query. */
  stop(): void;
  /** Gives the line up; of a redact, it is withheld. */
  fail(message: string): void;
}

/** JSON Schema of a parameter: these keywords are checked. What has no default must be given. */
export interface Schema {
  type: "string" | "boolean" | "integer" | "number" | "array";
  description?: string;
  default?: unknown;
  items?: Schema;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** What a filter is. */
export interface Definition<F> {
  /** Lower-case, `[a-z0-9-]{1,63}`, without a dash at either end. */
  name: string;
  /** The filter's own, such as 0.1.0. */
  version: string;
  /** One line for listings, without a final period. */
  summary: string;
  params?: Record<string, Schema>;
  /** What it reads; by default `["message"]`. */
  columns?: ("message" | "timestamp" | "attrs")[];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  open(params: any): F;
}

/** What every filter may have. */
export interface Filter {
  /** Called before a source's first line; `false` skips the source. */
  beginSource?(source: Source): boolean | void;
  /** Notes for the filter's author, at the end. */
  diagnostics?(): string[];
}

/**
 * A promise: a line that this regular expression doesn't match (syntax of Rust's `regex`, on bytes) is not kept by a
 * select, and comes out unchanged of a transform or redact. Weir matches it natively, so that most lines never come here.
 */
export interface Prefiltered {
  prefilter?: string;
}

export interface Selector extends Filter, Prefiltered {
  keep(line: Line): boolean;
  /** Asked before each line: true when no line from here on can be kept. */
  isDone?(): boolean;
}

export interface Transformer extends Filter, Prefiltered {
  line(line: Line, out: Out): void;
}

export interface Aggregator extends Filter {
  line(line: Line): void;
  /** Each item becomes one JSON object. */
  finish(): object[];
}

/** Export what these give as `filter`. */
export function select(definition: Definition<Selector>): object;
export function transform(definition: Definition<Transformer>): object;
export function redact(definition: Definition<Transformer>): object;
export function aggregate(definition: Definition<Aggregator> & { passLines?: boolean }): object;

/** A regular expression that matches a text and nothing else. */
export function quoteRegex(text: string): string;
export function decode(bytes: Uint8Array, start?: number, end?: number): string;
export function encode(text: string): Uint8Array;
/** Bytes one behind the other. */
export function concat(parts: Uint8Array[]): Uint8Array;

/** A text to look for in many lines, without making text of each. */
export class Finder {
  constructor(text: string);
  readonly needle: Uint8Array;
  /** Where it first stands in `bytes`, at or after `from`; -1 where it doesn't. */
  find(bytes: Uint8Array, from?: number): number;
  isIn(line: Line): boolean;
}

export class ParamError extends Error {
  constructor(field: string, message: string);
  field: string;
}
