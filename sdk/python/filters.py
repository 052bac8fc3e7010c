"""What authors write filters with: lines, and the classes that theirs are below of."""

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass
class Source:
    """Where lines come from; texts are empty where that isn't known."""

    id: int
    namespace: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    restart: int = 0
    labels: dict[str, str] = field(default_factory=dict)


class Line:
    """A log line. It is valid during the call only: keep its parts, not the line."""

    __slots__ = ("attrs", "message", "source", "time_ns")

    #: The message's bytes, UTF-8 or not. Column `message`.
    message: bytes
    #: Nanoseconds since the epoch, or None where the line has no time. Column `timestamp`.
    time_ns: int | None
    source: Source
    #: One byte of marks, which the properties below tell. Column `attrs`.
    attrs: int

    def __init__(self, source: Source) -> None:
        self.message, self.time_ns, self.source, self.attrs = b"", None, source, 0

    @property
    def text(self) -> str:
        """The message as text, made anew each time. Bytes that aren't UTF-8 become U+FFFD."""
        return self.message.decode("utf-8", "replace")

    @property
    def is_stderr(self) -> bool:
        """Whether it was written to standard error."""
        return self.attrs & 1 != 0

    @property
    def is_truncated(self) -> bool:
        """Whether it was cut at the host's line limit."""
        return self.attrs & 2 != 0

    @property
    def is_malformed(self) -> bool:
        """Whether it did not follow its log format, so that the message is the raw line."""
        return self.attrs & 4 != 0


KEEP, DROP, REPLACE, STOP = range(4)


class Out:
    """Takes what becomes of a line; one about which nothing is said is kept as it is."""

    __slots__ = ("_code", "_fields", "_replaced")

    def __init__(self) -> None:
        self._code, self._replaced, self._fields = KEEP, b"", None

    def drop(self) -> None:
        self._code = DROP

    def replace(self, message: str | bytes) -> None:
        self._code = REPLACE
        self._replaced = message.encode("utf-8", "replace") if isinstance(message, str) else bytes(message)

    def add_field(self, name: str, value: Any) -> None:
        """Adds a field to the line: any value that JSON has."""
        if self._fields is None:
            self._fields = {}
        self._fields[name] = value

    def stop(self) -> None:
        """Leaves out this line and all later ones of the query."""
        self._code = STOP


class Base:
    """What every filter has. Its `__init__` takes the parameters by their names, checked and with defaults filled in; it
    may raise `ParamError`."""

    #: Lower-case, `[a-z0-9-]{1,63}`, without a dash at either end.
    name: ClassVar[str]
    #: The filter's own, such as 0.1.0.
    version: ClassVar[str]
    #: One line for listings, without a final period.
    summary: ClassVar[str]
    #: JSON Schema of each parameter. What has no default must be given. The keywords that are checked are type, items, enum,
    #: minimum, maximum, minLength, minItems and maxItems.
    params: ClassVar[dict[str, dict[str, Any]]] = {}
    #: What it reads of `message`, `timestamp` and `attrs`; what isn't named here isn't handed over.
    columns: ClassVar[tuple[str, ...]] = ("message",)

    def begin_source(self, source: Source) -> bool:
        """Called before a source's first line; `False` skips the source."""
        return True

    def diagnostics(self) -> list[str]:
        """Notes for the filter's author, at the end."""
        return []


class _Prefiltered(Base):
    #: A promise: a line that this regular expression doesn't match (syntax of Rust's `regex`, on bytes) is not kept by a
    #: select, and comes out unchanged of a transform or redact. Weir matches it natively, so that most lines never come here.
    prefilter: str | None = None


class Select(_Prefiltered):
    """Keeps or drops lines, and never changes one."""

    kind = "select"

    def keep(self, line: Line) -> bool:
        raise NotImplementedError

    def is_done(self) -> bool:
        """Asked before each line: true when no line from here on can be kept."""
        return False


class Transform(_Prefiltered):
    """May rewrite lines."""

    kind = "transform"

    def line(self, line: Line, out: Out) -> None:
        raise NotImplementedError


class Redact(Transform):
    """Rewrites lines; its failure withholds the line."""

    kind = "redact"


class Aggregate(Base):
    """Looks at every line, and tells a summary at the end."""

    kind = "aggregate"
    #: Whether the lines that it has seen come out too.
    pass_lines: ClassVar[bool] = False

    def line(self, line: Line) -> None:
        raise NotImplementedError

    def finish(self) -> list[dict[str, Any]]:
        """Each item becomes one JSON object."""
        raise NotImplementedError
