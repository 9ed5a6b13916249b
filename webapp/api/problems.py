"""Errors as answers: problem details (RFC 9457) for programs, a page for people."""

import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Response, json, render_template, request
from flask_smorest import Api, Blueprint
from marshmallow import Schema
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from model.core.errors import BadInput, Unreachable
from webapp.actions.starting import NameTaken
from webapp.api.fields import integer, text
from webapp.core.troubles import FULL, redis_trouble, trouble
from webapp.files.storage import NoRoom
from webapp.jobs.queue import QueueFull

INSIDE = "An error inside Stillmotion; the server's log says more."
PROBLEM_JSON = "application/problem+json"
FOR_PROGRAMS = ("/api/", "/healthz", "/readyz")

STATUSES = {BadInput: 422, Unreachable: 503, NoRoom: 507, NameTaken: 409}
"""Errors whose message is the answer's sentence."""

View = TypeVar("View", bound=Callable[..., Any])
_DOCUMENT = Blueprint("errors", __name__)

log = logging.getLogger(__name__)


class ProblemSchema(Schema):
    """Problem details, RFC 9457: the media type of every error is application/problem+json."""

    type = text("about:blank: the status says what kind of problem")
    title = text("the status in words")
    status = integer("the HTTP status")
    detail = text("one sentence: what is wrong, what would be right")


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
        response = error.get_response()
        if error.code is None or error.code < 400:
            return Response(response.get_data(), response.status_code, response.headers)
        answer = problem(error.code, _detail(error))
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                answer.headers[name] = response.headers[name]
        return answer


def can_fail(*statuses: int) -> Callable[[View], View]:
    """Have the OpenAPI document say with which errors an address answers."""

    def decorate(view: View) -> View:
        for status in statuses:
            view = _DOCUMENT.alt_response(status, HTTPStatus(status).name)(view)
        return view

    return decorate


def is_for_programs() -> bool:
    """Tell whether the request came to an address whose answers are JSON."""
    return request.path.startswith(FOR_PROGRAMS)


def problem(status: int, detail: str) -> Response:
    """Make an error's answer: problem details under the API, a page elsewhere."""
    title = HTTPStatus(status).phrase
    if not is_for_programs():
        return Response(render_template("error.html", status=status, title=title, detail=detail), status)
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body), status, content_type=PROBLEM_JSON)


def register_problems(app: Flask) -> None:
    """Answer the errors that are not HTTP errors by themselves."""
    for kind, status in STATUSES.items():
        app.register_error_handler(kind, partial(_answer, status))

    @app.errorhandler(RedisError)
    def redis_error(error: RedisError) -> Response:
        return problem(503, f"{redis_trouble(error)}; try again later.")

    @app.errorhandler(QueueFull)
    def queue_full(error: QueueFull) -> Response:
        answer = problem(429, str(error))
        answer.headers["Retry-After"] = "60"
        return answer

    @app.errorhandler(SQLAlchemyError)
    @app.errorhandler(OSError)
    def system_error(error: SQLAlchemyError | OSError) -> Response:
        log.error("%s %s", request.method, request.path, exc_info=error)
        said = trouble(error)
        return problem(500 if said is None else 507 if said is FULL else 503, said or INSIDE)


def _answer(status: int, error: Exception) -> Response:
    return problem(status, str(error))


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
        return INSIDE
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
