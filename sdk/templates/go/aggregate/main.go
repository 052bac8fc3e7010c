// Counts lines by level.
package main

import (
	"bytes"

	"github.com/weir-dev/weir/sdk/go"
)

const params = `{
	"levels": {
		"description": "Words that say how bad it is, the worst first: a line counts for the first that it holds.",
		"type": "array", "items": {"type": "string"}, "minItems": 1, "default": ["ERROR", "WARN", "INFO", "DEBUG"]
	}
}`

type args struct {
	Levels []string
}

func init() {
	weir.Aggregate(weir.Info{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "Counts lines by level",
		Params:  params,
	}, open)
}

func main() {}

type levels struct {
	words [][]byte
	lines int
	found map[string]int
}

func open(args args) (weir.Aggregator, error) {
	filter := &levels{found: make(map[string]int)}
	for _, level := range args.Levels {
		filter.words = append(filter.words, []byte(level))
	}
	return filter, nil
}

func (l *levels) Line(line weir.Line) {
	l.lines++
	for _, word := range l.words {
		if bytes.Contains(line.Message, word) {
			l.found[string(word)]++
			return
		}
	}
}

// Finish gives one JSON object for each summary record.
func (l *levels) Finish() []any {
	return []any{map[string]any{"lines": l.lines, "levels": l.found}}
}
