package weir

import (
	"encoding/json"
	"time"
)

// Line is one log line.
type Line struct {
	// Message is any bytes, UTF-8 or not, without the line's end. They are valid during the call only.
	Message []byte
	// Source is where the line comes from.
	Source *Source
	time   int64
	attrs  byte
}

// TimeNs is in nanoseconds since 1970-01-01T00:00:00Z, false where the line has none. Column Timestamp.
func (l Line) TimeNs() (int64, bool) { return l.time, l.time != -1 }

// Time is the line's time in UTC, false where it has none. Column Timestamp.
func (l Line) Time() (time.Time, bool) { return time.Unix(0, l.time).UTC(), l.time != -1 }

// Stderr says whether it was written to standard error. Column Attrs.
func (l Line) Stderr() bool { return l.attrs&1 != 0 }

// Truncated says whether it was cut at the host's line limit. Column Attrs.
func (l Line) Truncated() bool { return l.attrs&2 != 0 }

// Malformed says whether it did not follow its log format, so that the message is the raw line. Column Attrs.
func (l Line) Malformed() bool { return l.attrs&4 != 0 }

// Source is where lines come from. What isn't known of it is empty.
type Source struct {
	// ID is the host's number for it, unique within the query.
	ID                              uint32
	Namespace, Pod, Container, Node string
	// Restart is the container's restart count.
	Restart uint32
	// Labels are the pod's.
	Labels map[string]string
}

// The codes of the contract.
const (
	keep byte = iota
	drop
	replace
	stop
)

// Out takes what becomes of one line. The last word about it counts.
type Out struct {
	code     byte
	message  []byte
	fields   map[string]any
	failed   bool
	problem  string
	verdicts verdicts
}

// Drop leaves the line out.
func (o *Out) Drop() { o.code = drop }

// Replace gives the line a new message.
func (o *Out) Replace(message []byte) {
	o.code = replace
	o.message = append(o.message[:0], message...)
}

// AddField adds a field to the line: any value that encoding/json can encode.
func (o *Out) AddField(name string, value any) {
	if o.fields == nil {
		o.fields = make(map[string]any)
	}
	o.fields[name] = value
}

// Stop leaves out this line and all later ones of the query.
func (o *Out) Stop() { o.code = stop }

// Fail gives the line up; of a redact, it is withheld. The filter must have left its state as it was before the batch.
func (o *Out) Fail(message string) { o.failed, o.problem = true, message }

// verdicts are what a batch came out as, in the contract's encoding.
type verdicts struct {
	codes           []byte
	replacedEnds    []uint32
	replacedBytes   []byte
	annotated       []uint32
	annotationEnds  []uint32
	annotationBytes []byte
}

func (v *verdicts) clear() {
	v.codes = v.codes[:0]
	v.replacedEnds = v.replacedEnds[:0]
	v.replacedBytes = v.replacedBytes[:0]
	v.annotated = v.annotated[:0]
	v.annotationEnds = v.annotationEnds[:0]
	v.annotationBytes = v.annotationBytes[:0]
}

func (o *Out) begin() {
	o.code, o.failed = keep, false
	clear(o.fields)
}

// commit turns what was said into a verdict.
func (o *Out) commit() {
	v := &o.verdicts
	if len(o.fields) > 0 && (o.code == keep || o.code == replace) {
		object, err := json.Marshal(o.fields)
		if err != nil {
			panic("a field can't be written as JSON: " + err.Error())
		}
		v.annotated = append(v.annotated, uint32(len(v.codes)))
		v.annotationBytes = append(v.annotationBytes, object...)
		v.annotationEnds = append(v.annotationEnds, uint32(len(v.annotationBytes)))
	}
	if o.code == replace {
		v.replacedBytes = append(v.replacedBytes, o.message...)
		v.replacedEnds = append(v.replacedEnds, uint32(len(v.replacedBytes)))
	}
	v.codes = append(v.codes, o.code)
}
