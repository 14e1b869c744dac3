# The messenger as an image: what requirements/run.txt pins, the sources, and nobody's rights.
#
#   docker build --tag messenger .
#   docker run --publish 8788:8788 --env-file .env --volume messenger:/var/lib/messenger messenger
#
# Any command of `messenger` may stand behind it: `docker run ... messenger db check`.

FROM python:3.13-slim-bookworm AS packages

WORKDIR /build
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /venv \
    && /venv/bin/python -m pip --disable-pip-version-check --no-input install --no-cache-dir \
        --require-hashes --only-binary :all: -r requirements/run.txt -r requirements/build.txt


FROM python:3.13-slim-bookworm

RUN groupadd --system --gid 10001 messenger \
    && useradd --system --uid 10001 --gid messenger --home-dir /app --no-create-home --shell /usr/sbin/nologin messenger \
    && install --directory --owner messenger --group messenger --mode 700 /var/lib/messenger

COPY --from=packages /venv /venv

WORKDIR /app
COPY pyproject.toml LICENSE manage.py ./
COPY domain domain
COPY application application
COPY infrastructure infrastructure
COPY interfaces interfaces
COPY config config
COPY docs/protocol.md docs/protocol.md
RUN /venv/bin/python -m pip --disable-pip-version-check --no-input install --no-cache-dir \
        --no-deps --no-build-isolation --no-index --editable .

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    API_SERVICE_PORT=8788 \
    VAR_DIR=/var/lib/messenger

USER messenger
VOLUME /var/lib/messenger
EXPOSE 8788
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "config.healthcheck"]

ENTRYPOINT ["messenger"]
CMD ["serve"]
