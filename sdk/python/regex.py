"""Regular expressions for prefilters, whose syntax is that of Rust's `regex`."""

import re

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")


def quote_regex(text: str) -> str:
    """A regular expression that matches a text and nothing else."""
    return _SPECIAL.sub(r"\\\g<0>", text)
