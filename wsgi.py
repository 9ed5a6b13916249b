"""The entry for a WSGI server of yours; `python -m webapp` starts everything at once instead."""

from webapp.app import create_app

app = create_app()
