//go:build wasip1

package weir

import (
	"errors"
	"unsafe"
)

// This file is the component model's canonical ABI of the interface `weir:filter/filter` (wit/filter.wit): how its
// arguments and results lie in memory. Addresses are 32 bits wide in it, unlike Go's pointers.

// arena holds the arguments of one call.
var arena struct {
	chunk []uint64
	used  int
	full  [][]uint64
}

//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	words := (int(size) + 7) / 8
	if arena.used+words > len(arena.chunk) {
		arena.full = append(arena.full, arena.chunk)
		arena.chunk, arena.used = make([]uint64, max(words, 2*len(arena.chunk), 8192)), 0
	}
	at := arena.chunk[arena.used : arena.used+words]
	arena.used += words
	if words == 0 {
		return align
	}
	copy(view[byte](address(at), size), view[byte](old, min(oldSize, size)))
	return address(at)
}

func release() { arena.used, arena.full = 0, nil }

func address[T any](list []T) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(list)))) }

// view is a list of the host's that lies at an address.
func view[T any](at, len uint32) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(at))), len)
}

func text(at, len uint32) string { return string(view[byte](at, len)) }

// area is where results lie that are handed back by their address, in words of 32 bits. The others keep what it points to.
var (
	area  [16]uint32
	texts []string
	lists []uint32
)

func result(words ...uint32) uint32 {
	copy(area[:], words)
	return address(area[:])
}

func give(value string) (uint32, uint32) {
	texts = append(texts, value)
	return uint32(uintptr(unsafe.Pointer(unsafe.StringData(value)))), uint32(len(value))
}

func giveAll(values []string) uint32 {
	texts, lists = texts[:0], lists[:0]
	for _, value := range values {
		at, len := give(value)
		lists = append(lists, at, len)
	}
	return result(address(lists), uint32(len(values)))
}

//go:wasmexport weir:filter/filter@0.1.0#describe
func describe() uint32 {
	info := registered.info
	texts = texts[:0]
	name, nameLen := give(info.Name)
	version, versionLen := give(info.Version)
	summary, summaryLen := give(info.Summary)
	schema, schemaLen := give(objectSchema(info.Params))
	return result(name, nameLen, version, versionLen, uint32(registered.kind), summary, summaryLen, schema, schemaLen)
}

//go:wasmexport weir:filter/filter@0.1.0#open
func open(params, paramsLen uint32) uint32 {
	given := text(params, paramsLen)
	release()
	texts = texts[:0]
	if err := registered.open(given); err != nil {
		refused := &ParamError{Message: err.Error()}
		errors.As(err, &refused)
		field, fieldLen := give(refused.Field)
		message, messageLen := give(refused.Message)
		return result(1, field, fieldLen, message, messageLen)
	}
	prefilterer, is := registered.filter.(Prefilterer)
	if !is || registered.kind == kindAggregate {
		return result(0, uint32(registered.info.Columns), 0, 0, 0)
	}
	prefilter, prefilterLen := give(prefilterer.Prefilter())
	return result(0, uint32(registered.info.Columns), 1, prefilter, prefilterLen)
}

//go:wasmexport weir:filter/filter@0.1.0#begin-source
func beginSource(id, namespace, namespaceLen, pod, podLen, container, containerLen, node, nodeLen, restart, labels,
	labelsLen uint32) uint32 {
	source := &Source{
		ID: id, Namespace: text(namespace, namespaceLen), Pod: text(pod, podLen), Container: text(container, containerLen),
		Node: text(node, nodeLen), Restart: restart, Labels: make(map[string]string, labelsLen),
	}
	for _, label := range view[[4]uint32](labels, labelsLen) {
		source.Labels[text(label[0], label[1])] = text(label[2], label[3])
	}
	release()
	registered.sources[id] = source
	if beginner, is := registered.filter.(SourceBeginner); is && !beginner.BeginSource(source) {
		return 1
	}
	return 0
}

//go:wasmexport weir:filter/filter@0.1.0#process
func process(source, block, blockLen, starts, startsLen, ends, endsLen, timestamps, timestampsLen, attrs,
	attrsLen uint32) uint32 {
	failed, problem := registered.process(source, batch{
		block:  view[byte](block, blockLen),
		starts: view[uint32](starts, startsLen), ends: view[uint32](ends, endsLen),
		timestamps: view[int64](timestamps, timestampsLen), attrs: view[byte](attrs, attrsLen),
	})
	release()
	if failed >= 0 {
		texts = texts[:0]
		message, messageLen := give(problem)
		return result(1, uint32(failed), message, messageLen)
	}
	v := &registered.out.verdicts
	return result(0,
		address(v.codes), uint32(len(v.codes)),
		address(v.replacedEnds), uint32(len(v.replacedEnds)),
		address(v.replacedBytes), uint32(len(v.replacedBytes)),
		address(v.annotated), uint32(len(v.annotated)),
		address(v.annotationEnds), uint32(len(v.annotationEnds)),
		address(v.annotationBytes), uint32(len(v.annotationBytes)))
}

//go:wasmexport weir:filter/filter@0.1.0#finish
func finish() uint32 { return giveAll(registered.finish()) }

//go:wasmexport weir:filter/filter@0.1.0#diagnostics
func diagnostics() uint32 {
	if diagnoser, is := registered.filter.(Diagnoser); is {
		return giveAll(diagnoser.Diagnostics())
	}
	return giveAll(nil)
}
