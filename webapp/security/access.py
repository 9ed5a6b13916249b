"""Who may enter: known host names only, and a token where more than this machine is listened to."""

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from webapp.api.problems import is_for_programs, problem
from webapp.core.settings import Settings

ANYWHERE = ("0.0.0.0", "::")

ENTRANCE = ("health.healthz", "health.readyz", "static", "pages.viewer_file", "access.login", "access.enter")
"""What needs no token: whether the app is well, and what the login page is made of."""

REMEMBERED = "entered"

blueprint = Blueprint("access", __name__)


def is_local(host: str) -> bool:
    """Tell whether an address to listen on is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def known_hosts(settings: Settings) -> frozenset[str]:
    """Return the names under which the app answers, in small letters.

    Any other name may be one that a stranger's page points at this machine to act in a visitor's browser.
    """
    names = {"localhost", "127.0.0.1", "::1", settings.host, *settings.host_names}
    if settings.host in ANYWHERE:
        names.add(socket.gethostname())
        for addresses in psutil.net_if_addrs().values():
            names |= {each.address.partition("%")[0] for each in addresses if each.family != psutil.AF_LINK}
    return frozenset(name.lower() for name in names)


def access_token(settings: Settings) -> tuple[str | None, bool]:
    """Return (the token that visitors need, whether it was made just now); None where all may enter."""
    if settings.is_open:
        return None, False
    if settings.token is not None:
        return settings.token, False
    if is_local(settings.host):
        return None, False
    path = settings.instance / "token"
    try:
        _write_new(path, secrets.token_urlsafe(24))
        is_new = True
    except FileExistsError:
        is_new = False
    return path.read_text(encoding="ascii").strip(), is_new


def _write_new(path: Path, text: str) -> None:
    """Write a private file that is not there yet; whoever reads it finds it whole."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


class SessionCookie(SecureCookieSessionInterface):
    """The cookie of those who have entered; over HTTPS it stays there."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Tell whether the cookie is for HTTPS alone."""
        return request.is_secure


def register_access(app: Flask, settings: Settings) -> None:
    """Answer under known names only, and those who have the token where one is needed."""
    hosts = known_hosts(settings)
    token, _ = access_token(settings)

    @app.before_request
    def refuse_unknown_hosts() -> Response | None:
        try:
            if (urlsplit(f"//{request.host}").hostname or "") in hosts:
                return None
        except ValueError:
            pass  # no host's name
        return problem(
            400,
            "Stillmotion does not answer under this host name; STILLMOTION_HOSTS lists those that it has.",
        )

    if token is None:
        return
    app.register_blueprint(blueprint)
    app.secret_key = hashlib.sha256(b"stillmotion:" + token.encode()).digest()
    app.session_interface = SessionCookie()
    app.config.update(
        SESSION_COOKIE_NAME="stillmotion", SESSION_COOKIE_SAMESITE="Lax", STILLMOTION_TOKEN=token
    )

    @app.before_request
    def ask_for_the_token() -> AnyResponse | None:
        if request.endpoint in ENTRANCE or session.get(REMEMBERED) or _is_right(_bearer(), token):
            return None
        if request.method == "GET" and not is_for_programs():
            return redirect(url_for("access.login", next=request.full_path))
        answer = problem(401, "Send the token as “Authorization: Bearer TOKEN”, or log in.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer


def _bearer() -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _is_right(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


@blueprint.get("/login")
def login() -> str:
    """Ask a person for the token."""
    return render_template("login.html", is_wrong=False)


@blueprint.post("/logout")
def leave() -> AnyResponse:
    """Let the browser forget that somebody entered."""
    session.clear()
    return redirect(url_for("access.login"))


@blueprint.post("/login")
def enter() -> AnyResponse:
    """Let in who has the token, and go on to where they wanted to."""
    if not _is_right(request.form.get("token", "").strip(), current_app.config["STILLMOTION_TOKEN"]):
        return Response(render_template("login.html", is_wrong=True), 403)
    session[REMEMBERED] = session.permanent = True
    wanted = request.args.get("next", "")
    # A path of this site: “//host” and “/\host” would be another one, also with a tab, which is passed over.
    is_here = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return redirect(request.script_root + wanted if is_here else url_for("pages.home"))
