package weir

import (
	"encoding/json"
	"fmt"
)

type kind byte

// The kinds of the contract, in its order.
const (
	kindSelect kind = iota
	kindTransform
	kindRedact
	kindAggregate
)

// step decides about one line.
type step func(line Line, out *Out)

// driver runs the registered filter over batches.
type driver struct {
	info    Info
	kind    kind
	open    func(params string) error
	filter  any
	step    step
	sources map[uint32]*Source
	out     Out
}

var registered *driver

func register[P any](info Info, kind kind, open func(P) (any, step, error)) {
	if registered != nil {
		panic("two filters are registered: " + registered.info.Name + " and " + info.Name)
	}
	if info.Columns == 0 {
		info.Columns = Message
	}
	driver := &driver{info: info, kind: kind, sources: make(map[uint32]*Source)}
	driver.open = func(text string) error {
		var params P
		err := parse(text, info.Params, &params)
		if err == nil {
			driver.filter, driver.step, err = open(params)
		}
		return err
	}
	registered = driver
}

// batch is one of the host's: message i is block[starts[i]:ends[i]], a column that wasn't asked for is empty.
type batch struct {
	block        []byte
	starts, ends []uint32
	timestamps   []int64
	attrs        []byte
}

// process gives the index of a line that failed and what it said, or -1.
func (d *driver) process(source uint32, batch batch) (failed int, problem string) {
	out := &d.out
	out.verdicts.clear()
	from := d.sources[source]
	if from == nil {
		from = &Source{ID: source}
	}
	count := max(len(batch.starts), len(batch.timestamps), len(batch.attrs))
	index := 0
	defer func() {
		if panicked := recover(); panicked != nil {
			failed, problem = index, fmt.Sprint(panicked)
		}
	}()
	for ; index < count; index++ {
		line := Line{Source: from, time: -1}
		if len(batch.starts) > 0 {
			line.Message = batch.block[batch.starts[index]:batch.ends[index]:batch.ends[index]]
		}
		if len(batch.timestamps) > 0 {
			line.time = batch.timestamps[index]
		}
		if len(batch.attrs) > 0 {
			line.attrs = batch.attrs[index]
		}
		out.begin()
		d.step(line, out)
		if out.failed {
			return index, out.problem
		}
		if out.code == stop {
			for ; index < count; index++ {
				out.verdicts.codes = append(out.verdicts.codes, stop)
			}
			break
		}
		out.commit()
	}
	return -1, ""
}

func (d *driver) finish() []string {
	aggregator, is := d.filter.(Aggregator)
	if d.kind != kindAggregate || !is {
		return nil
	}
	var summary []string
	for _, item := range aggregator.Finish() {
		object, err := json.Marshal(item)
		if err != nil {
			panic("a summary can't be written as JSON: " + err.Error())
		}
		summary = append(summary, string(object))
	}
	return summary
}
