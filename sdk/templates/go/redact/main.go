// Hides the values of fields written as name=value.
package main

import (
	"bytes"

	"github.com/weir-dev/weir/sdk/go"
)

const params = `{
	"fields": {
		"description": "Names of the fields.",
		"type": "array", "items": {"type": "string"}, "minItems": 1, "default": ["password", "token"]
	}
}`

type args struct {
	Fields []string
}

func init() {
	weir.Redact(weir.Info{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "Hides the values of fields written as name=value",
		Params:  params,
	}, open)
}

func main() {}

type hide struct {
	// Each with its `=`.
	fields [][]byte
	hidden []byte
}

func open(args args) (weir.Transformer, error) {
	filter := &hide{}
	for _, field := range args.Fields {
		filter.fields = append(filter.fields, []byte(field+"="))
	}
	return filter, nil
}

// Prefilter is a promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that
// most lines never come here. `weir filter test` holds you to it.
func (h *hide) Prefilter() string { return "=" }

func (h *hide) Line(line weir.Line, out *weir.Out) {
	message := line.Message
	h.hidden = h.hidden[:0]
	for {
		start, end := h.next(message)
		if start < 0 {
			break
		}
		h.hidden = append(append(h.hidden, message[:start]...), "***"...)
		message = message[end:]
	}
	if len(h.hidden) > 0 {
		out.Replace(append(h.hidden, message...))
	}
}

// next is where the first value in a message stands, or -1.
func (h *hide) next(message []byte) (start, end int) {
	start = -1
	for _, field := range h.fields {
		if at := bytes.Index(message, field); at >= 0 && (start < 0 || at+len(field) < start) {
			start = at + len(field)
		}
	}
	if start < 0 {
		return -1, -1
	}
	length := bytes.IndexAny(message[start:], " \t\n\r\f")
	if length < 0 {
		length = len(message) - start
	}
	return start, start + length
}
