// Cuts long lines.
package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/weir-dev/weir/sdk/go"
)

const params = `{
	"bytes": {
		"description": "A line with more bytes than this is cut.",
		"type": "integer", "minimum": 10, "maximum": 1000, "default": 100
	}
}`

type args struct {
	Bytes int
}

func init() {
	weir.Transform(weir.Info{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "Cuts long lines, and adds how long they were",
		Params:  params,
	}, open)
}

func main() {}

type shorten struct {
	limit int
}

func open(args args) (weir.Transformer, error) { return shorten{args.Bytes}, nil }

// Prefilter is a promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that
// most lines never come here. `weir filter test` holds you to it.
func (s shorten) Prefilter() string { return fmt.Sprintf("(?s-u:.{%d})", s.limit+1) }

func (s shorten) Line(line weir.Line, out *weir.Out) {
	if len(line.Message) <= s.limit {
		return
	}
	end := s.limit
	for end > 0 && !utf8.RuneStart(line.Message[end]) {
		end--
	}
	out.Replace(append(line.Message[:end:end], "…"...))
	out.AddField("bytes", len(line.Message))
}
