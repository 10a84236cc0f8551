"""The service's description of itself as one plain page: no script, nothing from another host.

Owns how the OpenAPI description at /openapi.json is shown to people. It adds no information.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#16212c;background:#fff}"
    "code{font-family:monospace}h2{font-size:1.1rem;margin:2rem 0 0}table{border-collapse:collapse}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{color:#e9eef3;background:#10161c}a{color:#f28bb8}}"
)
_SHAPE = '{"error": {"code", "what", "why", "instead"}}'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def add_docs(app: FastAPI) -> None:
    """Put the page on `app`, at /docs."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": _POLICY})


def page(described: dict[str, Any]) -> str:
    """The whole page."""
    title = escape(described["info"]["title"])
    routes = "".join(
        _route(method, path, route, described)
        for path, methods in described["paths"].items()
        for method, route in methods.items()
    )
    errors = "".join(_row(code, response["description"]) for code, response in _errors(described))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: routes</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}: routes</h1>"
        '<p>Bodies are JSON. The whole description, with every field, is at <a href="/openapi.json">/openapi.json</a>;'
        " tools for OpenAPI read it.</p>"
        f"{routes}<h2>Refusals</h2><p>All have one form: <code>{escape(_SHAPE)}</code>.</p>"
        f"<table>{errors}</table></body></html>"
    )


def _route(method: str, path: str, route: dict[str, Any], described: dict[str, Any]) -> str:
    rows = "".join(
        _row(
            parameter["name"],
            f"{_kind(parameter['schema'])}, in the {parameter['in']}. {parameter.get('description', '')}",
        )
        for parameter in route.get("parameters", [])
    )
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        rows += _row("body", _kind(body) + _fields(body, described))
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
        f"<p>{escape(route.get('description', ''))}</p><table>{rows}</table>"
    )


def _row(name: str, words: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(words.strip())}</td></tr>"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    several = schema.get("anyOf") or schema.get("oneOf")
    return " or ".join(map(_kind, several)) if several else str(schema.get("type", "any"))


def _fields(schema: dict[str, Any], described: dict[str, Any]) -> str:
    """The names of the fields of a body, the required ones first."""
    named = described["components"]["schemas"].get(_kind(schema), {})
    needed = [f"{name} (needed)" for name in named.get("required", [])]
    optional = [name for name in named.get("properties", {}) if name not in named.get("required", [])]
    return f": {', '.join(needed + optional)}" if needed or optional else ""


def _errors(described: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    first = next(iter(described["paths"].values()))
    responses = next(iter(first.values()))["responses"]
    return [(code, response) for code, response in sorted(responses.items()) if not code.startswith("2")]
