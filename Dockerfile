# Shoal's image: `docker build -t shoal .` — Python, Shoal, and the libraries that they load. No shell, no package manager.
# Every package is pinned with its hashes. docs/howto/containers.en.md says how to run it.
ARG PYTHON=3.12
ARG NODE=24

FROM node:${NODE}-slim AS console
WORKDIR /source/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore SOURCE_DATE_EPOCH=1767225600
WORKDIR /source
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/build && /opt/build/bin/pip install --quiet --require-hashes --no-deps -r requirements/build.txt \
    && python -m venv /opt/shoal && /opt/shoal/bin/pip install --quiet --no-compile --require-hashes --no-deps -r requirements/run.txt
COPY . .
COPY --from=console /source/src/shoal/console/static src/shoal/console/static
RUN /opt/build/bin/python scripts/build_docs.py \
    && SKIP_CONSOLE_BUILD=1 /opt/build/bin/python -m hatchling build -t wheel -d /opt/wheel \
    && /opt/shoal/bin/pip install --quiet --no-compile --no-deps /opt/wheel/*.whl \
    && /opt/shoal/bin/python scripts/rootfs.py /opt/root \
    && mv /opt/root/data /opt/data

FROM scratch
COPY --from=build /opt/root/ /
COPY --from=build --chown=10001:10001 --chmod=0700 /opt/data/ /data/
ENV HOME=/data \
    PATH=/usr/local/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1 \
    SHOAL_DATA_DIR=/data \
    SHOAL_HOST=0.0.0.0 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/python3", "-I", "/usr/local/lib/shoal/healthcheck.py"]
ENTRYPOINT ["/usr/local/bin/shoal"]
CMD ["serve"]
