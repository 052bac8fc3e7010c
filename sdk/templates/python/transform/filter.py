"""Cuts long lines."""

import weir


class Shorten(weir.Transform):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Cuts long lines, and adds how long they were"
    params = {
        "bytes": {
            "description": "A line with more bytes than this is cut.",
            "type": "integer",
            "minimum": 10,
            "maximum": 1000,
            "default": 100,
        },
    }

    def __init__(self, bytes):
        self.limit = bytes
        # A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most
        # lines never come here. `weir filter test` holds you to it.
        self.prefilter = f"(?s-u:.{{{bytes + 1}}})"

    def line(self, line, out):
        message, end = line.message, self.limit
        if len(message) <= end:
            return
        # A byte of this form goes on with a character that began before it.
        while end > 0 and message[end] & 0xC0 == 0x80:
            end -= 1
        out.replace(message[:end] + "…".encode())
        out.add_field("bytes", len(message))


Filter = weir.export(Shorten)
