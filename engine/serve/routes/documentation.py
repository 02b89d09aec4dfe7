"""The OpenAPI document as a page without scripts, for machines without a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any


def documentation(document: dict[str, Any]) -> str:
    """HTML that describes every address of an OpenAPI document."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info.get('description', ''))}</p>",
        '<p><a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.extend(_operation(path, method, operation))
    parts.append("<h2>Documents</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.extend(_schema(name, schema))
    return "\n".join(parts) + "</html>\n"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
    if body := operation.get("requestBody"):
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
        yield f"<p>Body: {kinds}. {escape(body.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>"
        for parameter in parameters:
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td>"
                f"<td>{escape(parameter['in'])}</td><td>{_type(parameter['schema'])}</td>"
                f"<td>{escape(parameter.get('description', ''))}</td></tr>"
            )
        yield "</table>"
    answers = ", ".join(escape(status) for status in operation["responses"])
    yield f"<p>Answers: {answers}</p>"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3>'
    yield f"<p>{escape(schema.get('description', ''))}</p>"
    yield "<table><tr><th>field</th><th>type</th><th></th></tr>"
    for field, inner in schema.get("properties", {}).items():
        yield (
            f"<tr><td><code>{escape(field)}</code></td><td>{_type(inner)}</td>"
            f"<td>{escape(inner.get('description', ''))}</td></tr>"
        )
    yield "</table>"


def _type(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    text = escape(str(schema.get("type", "any")))
    if "default" in schema:
        text += f", default <code>{escape(str(schema['default']))}</code>"
    limits = [str(schema[key]) for key in ("minimum", "maximum") if key in schema]
    return text + (f", {' to '.join(limits)}" if len(limits) == 2 else "")
