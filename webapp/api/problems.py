"""Errors as answers: problem details (RFC 9457) for programs, a page for people."""

import errno
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, json, render_template, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from model.core.errors import BadInput
from webapp.api.schemas import ProblemSchema
from webapp.jobs.queue import QueueUnavailable

PROBLEM_JSON = "application/problem+json"
FOR_PROGRAMS = ("/api/", "/healthz", "/readyz")

log = logging.getLogger(__name__)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest with problem details in place of its own error format."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_RESPONSE_CONTENT_TYPE: str = "application/json"

    def _register_responses(self) -> None:
        """Document errors with their own media type."""
        self.DEFAULT_RESPONSE_CONTENT_TYPE = PROBLEM_JSON
        super()._register_responses()
        self.DEFAULT_RESPONSE_CONTENT_TYPE = "application/json"

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer an HTTP error."""
        return _answer_http_error(error)


def problem_of(status: int) -> str:
    """Return the name under which the OpenAPI document keeps an error's answer."""
    return HTTPStatus(status).name


def problem(status: int, title: str, detail: str) -> Response:
    """Make an error's answer: problem details under the API, a page elsewhere."""
    if not request.path.startswith(FOR_PROGRAMS):
        return Response(render_template("error.html", status=status, title=title, detail=detail), status)
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body), status, content_type=PROBLEM_JSON)


def register_problems(app: Flask) -> None:
    """Answer the errors that are not HTTP errors by themselves."""

    @app.errorhandler(BadInput)
    def bad_input(error: BadInput) -> Response:
        return problem(422, HTTPStatus(422).phrase, str(error))

    @app.errorhandler(QueueUnavailable)
    def queue_unavailable(error: QueueUnavailable) -> Response:
        return problem(503, "Service Unavailable", str(error))

    @app.errorhandler(OSError)
    def system_error(error: OSError) -> Response:
        log.error("%s %s", request.method, request.path, exc_info=error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return problem(507, "Insufficient Storage", "The server's disk is full; nothing was kept.")
        return problem(
            500, "Internal Server Error", "An error inside Stillmotion; the server's log says more."
        )


def _answer_http_error(error: HTTPException) -> Response:
    response = error.get_response()
    if error.code is None or error.code < 400:
        return Response(response.get_data(), response.status_code, response.headers)
    answer = problem(error.code, error.name, _detail(error))
    for name in ("Allow", "Retry-After"):
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    return answer


def _detail(error: HTTPException) -> str:
    """Return one sentence for an HTTP error."""
    messages = getattr(error, "data", {}).get("messages")
    if messages:
        return _first_sentence(messages)
    if error.code == 413:
        largest = request.max_content_length
        size = "" if largest is None else f"; this address takes up to {largest:,} bytes"
        return f"The request's body is too large{size}."
    if error.code == 404 and error.description == type(error).description:
        return "There is nothing at this address."
    if error.code == 500:
        return "An error inside Stillmotion; the server's log says more."
    return error.description or error.name


def _first_sentence(messages: Any, path: str = "") -> str:
    """Return the first of webargs' nested messages, with the field's name if it is no sentence of ours."""
    if isinstance(messages, dict):
        name, inner = next(iter(messages.items()))
        is_location = name in ("json", "query", "_schema")
        return _first_sentence(inner, path if is_location else str(name))
    if isinstance(messages, list):
        return _first_sentence(messages[0], path)
    text = str(messages)
    return text if not path or text.startswith("The ") else f"{path}: {text}"
