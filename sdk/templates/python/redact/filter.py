"""Hides the values of fields written as name=value."""

import re

import weir


class Hide(weir.Redact):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Hides the values of fields written as name=value"
    params = {
        "fields": {
            "description": "Names of the fields.",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "default": ["password", "token"],
        },
    }

    # A promise: a line that this expression doesn't match comes out unchanged. Weir matches it natively, so that most lines
    # never come here. `weir filter test` holds you to it.
    prefilter = "="

    def __init__(self, fields):
        names = b"|".join(re.escape(field.encode()) for field in fields)
        self.value = re.compile(rb"((?:" + names + rb")=)[^ \t\n\f\r]*")

    def line(self, line, out):
        hidden, count = self.value.subn(rb"\1***", line.message)
        if count:
            out.replace(hidden)


Filter = weir.export(Hide)
