"""The contract between Weir and a filter (filter.wit), for a class that an author wrote."""

import io
import json
import sys
from typing import Callable

from componentize_py_types import Err
from wit_world.imports import types

from .filters import DROP, REPLACE, STOP, Aggregate, Base, Line, Out, Select, Source
from .params import ParamError, object_schema, parse

Step = Callable[[Line, Out], None]

_COLUMNS = {
    "message": types.Columns.MESSAGE,
    "timestamp": types.Columns.TIMESTAMP,
    "attrs": types.Columns.ATTRS,
}


def export(definition: type[Base]) -> Callable[[], "_Contract"]:
    """What a filter's module must have under the name `Filter`, of the author's class."""
    contract = _Contract(definition)
    # Called once for each function of the contract, and all of them are about one filter.
    return lambda: contract


def _json(value: object) -> str:
    """JSON as the other languages write it: text as it is, and no spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _step(filter: Base) -> Step:
    """What decides about a line."""
    if isinstance(filter, Select):
        return _select(filter)
    if isinstance(filter, Aggregate):
        return _aggregate(filter)
    return filter.line


def _select(filter: Select) -> Step:
    keep, is_done = filter.keep, filter.is_done

    def step(line: Line, out: Out) -> None:
        if not keep(line):
            out.drop()

    def step_unless_done(line: Line, out: Out) -> None:
        if is_done():
            out.stop()
        else:
            step(line, out)

    return step if type(filter).is_done is Select.is_done else step_unless_done


def _aggregate(filter: Aggregate) -> Step:
    look = filter.line

    def step(line: Line, out: Out) -> None:
        look(line)
        out.drop()

    return (lambda line, out: look(line)) if filter.pass_lines else step


class _Arena:
    """Bytes one behind the other, and where each ends."""

    def __init__(self) -> None:
        self.bytes, self.ends = bytearray(), []

    def push(self, part: bytes) -> None:
        self.bytes += part
        self.ends.append(len(self.bytes))


class _Printed(io.TextIOBase):
    """What a filter prints, up to some length: it has nowhere else to write to."""

    CHARACTERS = 64 << 10

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: self.CHARACTERS - len(self.text)]
        return len(text)


class _Contract:
    def __init__(self, definition: type[Base]) -> None:
        self.definition = definition
        self.filter: Base | None = None
        self.sources: dict[int, Source] = {}
        self.printed = _Printed()

    def describe(self) -> types.Description:
        own = self.definition
        kind = types.Kind[own.kind.upper()]
        return types.Description(own.name, own.version, kind, own.summary, object_schema(own.params))

    def open(self, params_json: str) -> types.Plan:
        sys.stdout = sys.stderr = self.printed
        try:
            self.filter = self.definition(**parse(params_json, self.definition.params))
        except ParamError as error:
            raise Err(types.ParamError(error.field, error.message)) from error
        except Exception as error:
            raise Err(types.ParamError("", _told(error))) from error
        self.step = _step(self.filter)
        columns = types.Columns(0)
        for column in self.definition.columns:
            columns |= _COLUMNS[column]
        return types.Plan(columns, getattr(self.filter, "prefilter", None))

    def begin_source(self, id: int, meta: types.SourceMeta) -> types.SourceVerdict:
        source = Source(
            id, meta.namespace, meta.pod, meta.container, meta.node, meta.restart, dict(meta.labels)
        )
        self.sources[id] = source
        wanted = self.filter.begin_source(source) is not False
        return types.SourceVerdict.SCAN if wanted else types.SourceVerdict.SKIP

    def process(
        self,
        source: int,
        block: bytes,
        starts: list[int],
        ends: list[int],
        timestamps: list[int],
        attrs: bytes,
    ) -> types.Verdicts:
        count = max(len(starts), len(timestamps), len(attrs))
        codes, messages, objects, annotated = bytearray(count), _Arena(), _Arena(), []
        line, out, step = Line(self.sources.get(source) or Source(source)), Out(), self.step
        for index in range(count):
            if starts:
                line.message = block[starts[index] : ends[index]]
            if timestamps:
                line.time_ns = timestamps[index] if timestamps[index] != -1 else None
            if attrs:
                line.attrs = attrs[index]
            out._code, out._fields = 0, None
            try:
                step(line, out)
                fields = None if out._fields is None else _json(out._fields).encode()
            except Exception as error:
                raise Err(types.ProcessError(index, _told(error))) from error
            code = out._code
            if code == STOP:
                codes[index:] = bytes([STOP]) * (count - index)
                break
            codes[index] = code
            if code == REPLACE:
                messages.push(out._replaced)
            if fields is not None and code != DROP:
                annotated.append(index)
                objects.push(fields)
        return types.Verdicts(
            bytes(codes), messages.ends, bytes(messages.bytes), annotated, objects.ends, bytes(objects.bytes)
        )

    def finish(self) -> list[str]:
        return [_json(item) for item in self.filter.finish()] if isinstance(self.filter, Aggregate) else []

    def diagnostics(self) -> list[str]:
        own = self.filter.diagnostics() if self.filter else []
        return own + self.printed.text.splitlines()


def _told(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}"
