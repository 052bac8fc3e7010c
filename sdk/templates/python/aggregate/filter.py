"""Counts lines by level."""

import weir


class Levels(weir.Aggregate):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Counts lines by level"
    params = {
        "levels": {
            "description": "Words that say how bad it is, the worst first: a line counts for the first that it holds.",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "default": ["ERROR", "WARN", "INFO", "DEBUG"],
        },
    }

    def __init__(self, levels):
        self.levels = [(level, level.encode()) for level in levels]
        self.lines = 0
        self.found = {}

    def line(self, line):
        self.lines += 1
        for level, word in self.levels:
            if word in line.message:
                self.found[level] = self.found.get(level, 0) + 1
                return

    # One JSON object for each summary record.
    def finish(self):
        return [{"lines": self.lines, "levels": self.found}]


Filter = weir.export(Levels)
