"""Keeps lines that hold one of some words."""

import weir


class Words(weir.Select):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Keeps lines that hold one of some words"
    params = {
        "words": {
            "description": "Words, one of which a line must hold; case makes a difference.",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "default": ["ERROR", "panic"],
        },
    }

    def __init__(self, words):
        self.words = [word.encode() for word in words]
        # A promise: a line that this expression doesn't match is never kept. Weir matches it natively, so that most lines
        # never come here. `weir filter test` holds you to it.
        self.prefilter = "|".join(map(weir.quote_regex, words))

    # `line.text` is the line as text; to find something in its bytes is faster.
    def keep(self, line):
        return any(word in line.message for word in self.words)


Filter = weir.export(Words)
