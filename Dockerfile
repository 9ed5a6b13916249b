# One image for the web server and the workers; compose.yaml starts them with Redis.
FROM python:3.12-slim-bookworm

WORKDIR /app
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1

COPY requirements.lock ./
RUN python3 -m venv .venv && .venv/bin/pip install -r requirements.lock

# For Postgres and S3, say: docker compose build --build-arg EXTRAS="psycopg[binary] s3fs"
ARG EXTRAS=""
RUN if [ -n "$EXTRAS" ]; then .venv/bin/pip install -c requirements.lock $EXTRAS; fi

COPY model ./model
COPY webapp ./webapp
COPY static ./static
COPY templates ./templates
COPY wsgi.py ./

RUN useradd --create-home stillmotion && mkdir /data && chown stillmotion /data
USER stillmotion
ENV PATH=/app/.venv/bin:$PATH STILLMOTION_INSTANCE=/data STILLMOTION_HOST=0.0.0.0 STILLMOTION_PORT=5000
VOLUME /data
EXPOSE 5000

# Without REDIS_URL this also starts a Redis and a worker: the whole of Stillmotion in one container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/healthz', timeout=4)"]
CMD ["python3", "-m", "webapp"]
