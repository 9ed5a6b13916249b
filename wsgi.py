"""gunicorn's entry: `gunicorn wsgi:app`; `python -m webapp` starts everything at once instead."""

from webapp.app import create_app

app = create_app()
