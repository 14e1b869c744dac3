# The messenger as an image: what requirements/run.txt pins, the sources, and a user without rights.
#
#   docker build --build-arg REVISION=$(git rev-parse --short=12 HEAD) --tag messenger .
#   docker run --publish 8788:8788 --env-file .env --volume messenger:/var/lib/messenger messenger
#
# Any command of `messenger` may stand behind it: `docker run ... messenger db check`. With podman and buildah the base needs
# the name of its registry in front, unless they are configured with one: --build-arg REGISTRY=docker.io/library/
# They keep the health check of the image with --format docker only.

# The digest fixes the base; a newer one brings the corrections of Debian and Python. Another base needs Python from 3.11 to
# 3.14 with venv, and Debian's groupadd and useradd: --build-arg BASE=...
ARG REGISTRY=
ARG BASE=${REGISTRY}python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE} AS packages

WORKDIR /build
COPY requirements/run.txt requirements/build.txt requirements/
RUN python3 -m venv /venv \
    && /venv/bin/python -m pip --disable-pip-version-check --no-input install --no-cache-dir \
        --require-hashes --only-binary :all: -r requirements/run.txt -r requirements/build.txt


FROM ${BASE}

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
        --no-deps --no-build-isolation --no-index --editable . \
    && /venv/bin/python -m compileall -q domain application infrastructure interfaces config

# The git revision, for `messenger --version`, the metrics and the health check. Last, because it changes with each commit.
ARG REVISION=
RUN printf '%s' "$REVISION" > REVISION

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    API_SERVICE_PORT=8788 \
    VAR_DIR=/var/lib/messenger

# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
VOLUME /var/lib/messenger
EXPOSE 8788
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "config.healthcheck"]

# Process 1 is sent no signal without a handler, and Python needs a moment until it can install one. A blocked signal waits.
ENTRYPOINT ["env", "--block-signal=TERM,INT,HUP", "messenger"]
CMD ["serve"]
