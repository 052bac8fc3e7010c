"""Parameters against their schemas: a part of JSON Schema."""

import json
from typing import Any


class ParamError(Exception):
    """Refuses a parameter: which, what is wrong and what would be right."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


def object_schema(properties: dict[str, dict[str, Any]]) -> str:
    """The schema of all parameters together."""
    required = [name for name, schema in properties.items() if "default" not in schema]
    return json.dumps(
        {"type": "object", "additionalProperties": False, "properties": properties, "required": required}
    )


def parse(text: str, properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The parameters in a JSON object, checked, with defaults filled in."""
    given = json.loads(text)
    for name in given:
        if name not in properties:
            hint = f"there are: {', '.join(properties)}" if properties else "there are none"
            raise ParamError(name, f"is not a parameter; {hint}")
    for name, schema in properties.items():
        if name in given:
            _check(name, given[name], schema)
        elif "default" in schema:
            given[name] = schema["default"]
        else:
            raise ParamError(name, f"is missing; give {_due(schema)}")
    return given


def _check(field: str, value: Any, schema: dict[str, Any]) -> None:
    if not _allows(value, schema):
        raise ParamError(field, f"is {json.dumps(value)}; give {_due(schema)}")
    for index, item in enumerate(value if "items" in schema else ()):
        _check(f"{field}.{index}", item, schema["items"])


def _allows(value: Any, schema: dict[str, Any]) -> bool:
    if "enum" in schema and value not in schema["enum"]:
        return False
    match schema.get("type"):
        case "string":
            return isinstance(value, str) and len(value) >= schema.get("minLength", 0)
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number" as kind:
            # JSON's 1.0 is a whole number, and Python's True is one that isn't meant.
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return (
                is_number
                and (kind == "number" or value == int(value))
                and value >= schema.get("minimum", value)
                and value <= schema.get("maximum", value)
            )
        case "array":
            return (
                isinstance(value, list)
                and len(value) >= schema.get("minItems", 0)
                and len(value) <= schema.get("maxItems", len(value))
            )
    return False


_DUE = {
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
}


def _due(schema: dict[str, Any]) -> str:
    """What would be right."""
    if "enum" in schema:
        return f"one of {json.dumps(schema['enum'])}"
    text = _DUE[schema["type"]]
    for keyword, words in (
        ("minimum", "of at least"),
        ("maximum", "of at most"),
        ("minItems", "with at least"),
        ("minLength", "with at least"),
        ("maxItems", "with at most"),
    ):
        if keyword in schema:
            text += f" {words} {schema[keyword]}"
    return text
