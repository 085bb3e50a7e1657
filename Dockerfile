# The image of Weave-NN: `docker build .`, or without Docker `buildah build --isolation chroot .`
#
# The same sources give the same files: versions come from uv.lock, times from SOURCE_DATE_EPOCH, and the base is pinned
# by giving its digest:
#   docker build --build-arg BASE_DIGEST=sha256:… --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .

ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG BASE_DIGEST=

FROM ${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}} AS base
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1


FROM base AS build
ARG UV_VERSION=0.13.8
ARG SOURCE_DATE_EPOCH=0
# What the image can do besides serving one vault from SQLite; `--build-arg EXTRAS=` makes the smallest one.
ARG EXTRAS="postgres rabbitmq redis jwt"
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    UV_NO_CACHE=true UV_NO_PROGRESS=true UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/weave
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /build
# What is installed for serving changes less often than the sources, and so makes a layer of its own.
COPY pyproject.toml uv.lock README.md ./
RUN set -e; for extra in ${EXTRAS}; do set -- "$@" --extra "$extra"; done; \
    /opt/uv/bin/uv sync --locked --no-dev --no-install-project --python "$(command -v python3)" "$@"
COPY src src
# Compiled once, and never checked against the sources: neither changes in an image. Nothing tells when it was built:
# times are those of the commit, and uv's own note of it goes.
RUN set -e; for extra in ${EXTRAS}; do set -- "$@" --extra "$extra"; done; \
    /opt/uv/bin/uv sync --locked --no-dev --no-editable --python "$(command -v python3)" "$@"; \
    rm -f /opt/weave/lib/python*/site-packages/weave_nn-*.dist-info/uv_cache.json; \
    sed -i '/uv_cache.json/d' /opt/weave/lib/python*/site-packages/weave_nn-*.dist-info/RECORD; \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/weave/lib; \
    find /opt/weave -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +


FROM base
# The git service runs git itself, with the user's own hooks and settings.
RUN command -v git > /dev/null || { \
      apt-get update -qq && apt-get install --yes -qq --no-install-recommends git ca-certificates && \
      rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache; }
COPY --from=build /opt/weave /opt/weave
# The state lies in a volume that whoever runs the container can write to; `--user` may name anybody.
RUN groupadd --gid 1000 weave && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /var/lib/weave weave && \
    install --directory --mode=1777 /var/lib/weave /vault && rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- && \
    sed -i 's/^weave:!:[0-9]*:/weave:!:0:/' /etc/shadow
ENV PATH=/opt/weave/bin:$PATH \
    HOME=/var/lib/weave \
    WEAVE_VAULT=/vault WEAVE_DATA_DIR=/var/lib/weave/state \
    WEAVE_HOST=0.0.0.0 WEAVE_PORT=8000 WEAVE_LOG_FORMAT=json \
    # A mounted vault may belong to another user than the one in here; git would refuse it.
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=/vault
USER 1000:1000
WORKDIR /var/lib/weave
VOLUME ["/var/lib/weave"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-ISc", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/health' % os.environ['WEAVE_PORT'], timeout=4)"]
# `weave` is process 1 and gets the signals itself: on SIGTERM it finishes what is under way.
ENTRYPOINT ["weave"]
CMD ["up"]
