// Package weir is what a log filter for Weir imports: one function for each line. Batches, offsets and the encoding of
// verdicts are its business.
//
// A filter registers itself in an init function, by [Select], [Transform], [Redact] or [Aggregate]; main stays empty.
package weir

import "strings"

// Info says what a filter is.
type Info struct {
	// Name is lower-case, [a-z0-9-]{1,63}, and neither starts nor ends with a dash.
	Name string
	// Version is the filter's own, such as 0.1.0.
	Version string
	// Summary is one line for listings, without a final period.
	Summary string
	// Columns it reads; what isn't named here isn't handed over. None are Message.
	Columns Columns
	// Params are the properties of its parameters in JSON Schema, a JSON object of one schema for each name. What has
	// no "default" must be given. The keywords that are checked are type, items, enum, minimum, maximum, minLength,
	// minItems and maxItems.
	Params string
	// PassLines has an aggregate keep the lines that it counts; by default only the summary is left of them.
	PassLines bool
}

// Columns are sets of what a filter reads of a line.
type Columns uint8

// The columns that there are.
const (
	Message Columns = 1 << iota
	Timestamp
	// Attrs are the stream, and whether a line was cut or malformed.
	Attrs
)

// Selector keeps or drops lines.
type Selector interface {
	Keep(line Line) bool
}

// Transformer may rewrite lines. A line about which nothing is said through out is kept as it is.
type Transformer interface {
	Line(line Line, out *Out)
}

// Aggregator looks at every line and tells a summary at the end: each item becomes one JSON object.
type Aggregator interface {
	Line(line Line)
	Finish() []any
}

// Prefilterer may be any filter but an aggregate. It gives a regular expression (syntax of Rust's regex crate, matched on
// bytes) and a promise: a line that doesn't match is not kept by a select, and comes out unchanged of a transform or
// redact. Weir matches it natively, so that most lines never enter the filter.
type Prefilterer interface {
	Prefilter() string
}

// SourceBeginner is told of each source before its first line, and says whether its lines are wanted.
type SourceBeginner interface {
	BeginSource(source *Source) bool
}

// Doner may be a select: once it is done, no line from there on is kept, and Weir stops reading.
type Doner interface {
	Done() bool
}

// Diagnoser has notes for the filter's author, handed out once, at the end.
type Diagnoser interface {
	Diagnostics() []string
}

// ParamError refuses a parameter: which, what is wrong and what would be right.
type ParamError struct {
	// Field is the dotted path of the field, empty for all of them together.
	Field   string
	Message string
}

func (e *ParamError) Error() string { return e.Field + ": " + e.Message }

// Select registers a filter that keeps or drops lines and never changes one.
func Select[P any](info Info, open func(params P) (Selector, error)) {
	register(info, kindSelect, func(params P) (any, step, error) {
		filter, err := open(params)
		if err != nil {
			return nil, nil, err
		}
		doner, _ := filter.(Doner)
		return filter, func(line Line, out *Out) {
			if doner != nil && doner.Done() {
				out.Stop()
			} else if !filter.Keep(line) {
				out.Drop()
			}
		}, nil
	})
}

// Transform registers a filter that may rewrite lines.
func Transform[P any](info Info, open func(params P) (Transformer, error)) {
	register(info, kindTransform, transformer(open))
}

// Redact registers a filter that rewrites lines and whose failure withholds the line.
func Redact[P any](info Info, open func(params P) (Transformer, error)) {
	register(info, kindRedact, transformer(open))
}

func transformer[P any](open func(P) (Transformer, error)) func(P) (any, step, error) {
	return func(params P) (any, step, error) {
		filter, err := open(params)
		if err != nil {
			return nil, nil, err
		}
		return filter, filter.Line, nil
	}
}

// Aggregate registers a filter that tells a summary at the end.
func Aggregate[P any](info Info, open func(params P) (Aggregator, error)) {
	register(info, kindAggregate, func(params P) (any, step, error) {
		filter, err := open(params)
		if err != nil {
			return nil, nil, err
		}
		return filter, func(line Line, out *Out) {
			filter.Line(line)
			if !info.PassLines {
				out.Drop()
			}
		}, nil
	})
}

// QuoteRegex gives a regular expression that matches a text and nothing else, for a prefilter.
func QuoteRegex(text string) string {
	var quoted strings.Builder
	for _, c := range text {
		if strings.ContainsRune(`\.+*?()|[]{}^$#&-~`, c) {
			quoted.WriteByte('\\')
		}
		quoted.WriteRune(c)
	}
	return quoted.String()
}
