package weir

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// schema is the part of JSON Schema that parameters are checked against.
type schema struct {
	Type      string   `json:"type"`
	Default   any      `json:"default"`
	Items     *schema  `json:"items"`
	Enum      []any    `json:"enum"`
	Minimum   *float64 `json:"minimum"`
	Maximum   *float64 `json:"maximum"`
	MinLength *int     `json:"minLength"`
	MinItems  *int     `json:"minItems"`
	MaxItems  *int     `json:"maxItems"`
}

// properties are the schemas of parameters by name.
func properties(params string) map[string]*schema {
	all := make(map[string]*schema)
	if params == "" {
		return all
	}
	if err := json.Unmarshal([]byte(params), &all); err != nil {
		panic("Info.Params is no object of schemas: " + err.Error())
	}
	return all
}

// objectSchema is the schema of all parameters together.
func objectSchema(params string) string {
	required := []string{}
	for name, schema := range properties(params) {
		if schema.Default == nil {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	if params == "" {
		params = "{}"
	}
	names, err := json.Marshal(required)
	if err != nil {
		panic("names can be written as JSON")
	}
	return `{"type":"object","additionalProperties":false,"properties":` + params + `,"required":` + string(names) + `}`
}

// parse checks the given parameters, fills in defaults, and decodes them into `into`.
func parse(given, params string, into any) error {
	var object map[string]any
	if err := json.Unmarshal([]byte(given), &object); err != nil || object == nil {
		return &ParamError{Message: "is no JSON object"}
	}
	known := properties(params)
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for name := range object {
		if known[name] == nil {
			hint := "there are none"
			if len(names) > 0 {
				hint = "there are: " + strings.Join(names, ", ")
			}
			return &ParamError{name, "is not a parameter; " + hint}
		}
	}
	for _, name := range names {
		value, is := object[name]
		switch {
		case is:
			if err := known[name].check(name, value); err != nil {
				return err
			}
		case known[name].Default == nil:
			return &ParamError{name, "is missing; give " + known[name].due()}
		default:
			object[name] = known[name].Default
		}
	}
	whole, err := json.Marshal(object)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(whole))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(into)
	}
	if err != nil {
		return &ParamError{Message: "don't fit the filter's type for them: " + err.Error()}
	}
	return nil
}

func (s *schema) check(field string, value any) error {
	if !s.allows(value) {
		text, err := json.Marshal(value)
		if err != nil {
			panic("what came as JSON can be written as JSON")
		}
		return &ParamError{field, "is " + string(text) + "; give " + s.due()}
	}
	if list, is := value.([]any); is && s.Items != nil {
		for i, item := range list {
			if err := s.Items.check(field+"."+strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *schema) allows(value any) bool {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		return false
	}
	switch value := value.(type) {
	case string:
		return s.Type == "string" && within(float64(utf8.RuneCountInString(value)), s.MinLength, nil)
	case bool:
		return s.Type == "boolean"
	case float64:
		whole := value == math.Trunc(value)
		bounded := (s.Minimum == nil || value >= *s.Minimum) && (s.Maximum == nil || value <= *s.Maximum)
		return (s.Type == "number" || s.Type == "integer" && whole) && bounded
	case []any:
		return s.Type == "array" && within(float64(len(value)), s.MinItems, s.MaxItems)
	}
	return false
}

func within(size float64, least, most *int) bool {
	return (least == nil || size >= float64(*least)) && (most == nil || size <= float64(*most))
}

// due says what would be right.
func (s *schema) due() string {
	if len(s.Enum) > 0 {
		text, err := json.Marshal(s.Enum)
		if err != nil {
			panic("what came as JSON can be written as JSON")
		}
		return "one of " + string(text)
	}
	due := map[string]string{
		"string": "a text", "boolean": "true or false", "integer": "a whole number", "number": "a number", "array": "a list",
	}[s.Type]
	number := func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
	if s.Minimum != nil {
		due += " of at least " + number(*s.Minimum)
	}
	if s.Maximum != nil {
		due += " of at most " + number(*s.Maximum)
	}
	for _, least := range []*int{s.MinItems, s.MinLength} {
		if least != nil {
			due += " with at least " + strconv.Itoa(*least)
		}
	}
	if s.MaxItems != nil {
		due += " with at most " + strconv.Itoa(*s.MaxItems)
	}
	return due
}
