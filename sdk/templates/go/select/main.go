// Keeps lines that hold one of some words.
package main

import (
	"bytes"
	"strings"

	"github.com/weir-dev/weir/sdk/go"
)

const params = `{
	"words": {
		"description": "Words, one of which a line must hold; case makes a difference.",
		"type": "array", "items": {"type": "string"}, "minItems": 1, "default": ["ERROR", "panic"]
	}
}`

type args struct {
	Words []string
}

func init() {
	weir.Select(weir.Info{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "Keeps lines that hold one of some words",
		Params:  params,
	}, open)
}

func main() {}

type words struct {
	words [][]byte
	regex string
}

func open(args args) (weir.Selector, error) {
	var filter words
	var escaped []string
	for _, word := range args.Words {
		filter.words = append(filter.words, []byte(word))
		escaped = append(escaped, weir.QuoteRegex(word))
	}
	filter.regex = strings.Join(escaped, "|")
	return &filter, nil
}

// Prefilter is a promise: a line that this expression doesn't match is never kept. Weir matches it natively, so that most
// lines never come here. `weir filter test` holds you to it.
func (w *words) Prefilter() string { return w.regex }

func (w *words) Keep(line weir.Line) bool {
	for _, word := range w.words {
		if bytes.Contains(line.Message, word) {
			return true
		}
	}
	return false
}
