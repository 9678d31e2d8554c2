# Two images: `services` (core and admin API) and `node` (a tap node, for simulated taps). Small, pinned, without root.
#   docker build --target services -t tapwire-services .
# PYTHON_IMAGE=python:3.13.5-slim-bookworm@sha256:… as a build argument pins it by digest; deploy/pin-images.sh finds digests.
ARG PYTHON_IMAGE=python:3.13.5-slim-bookworm
FROM $PYTHON_IMAGE AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/tapwire/bin:$PATH

FROM base AS wheels
WORKDIR /src
COPY requirements/build.txt requirements/build.txt
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
# the console's libraries, from npm, in exactly the bytes that package-lock.json names
COPY requirements/npm.txt requirements/npm.txt
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/npm.txt
COPY package.json package.json
COPY package-lock.json package-lock.json
COPY .npmrc .npmrc
RUN PATH="/opt/build/bin:$PATH" npm ci --omit=dev --ignore-scripts
COPY requirements/package_metadata.py requirements/package_metadata.py
COPY contracts contracts
COPY core-service core-service
COPY admin-api admin-api
COPY tap-node tap-node
RUN /opt/build/bin/python -P admin-api/src/tapwire_admin/console/libraries.py
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /opt/wheels ./contracts ./core-service ./admin-api ./tap-node

FROM base AS services-installed
WORKDIR /src
COPY requirements/services.txt requirements/services.txt
RUN python3 -m venv /opt/tapwire && /opt/tapwire/bin/pip install --no-cache-dir --require-hashes -r requirements/services.txt
COPY --from=wheels /opt/wheels /opt/wheels
RUN /opt/tapwire/bin/pip install --no-cache-dir --no-deps --no-index --find-links /opt/wheels tapwire-contracts tapwire-core tapwire-admin

FROM base AS node-installed
WORKDIR /src
COPY requirements/node.txt requirements/node.txt
RUN python3 -m venv /opt/tapwire && /opt/tapwire/bin/pip install --no-cache-dir --require-hashes -r requirements/node.txt
COPY --from=wheels /opt/wheels /opt/wheels
RUN /opt/tapwire/bin/pip install --no-cache-dir --no-deps --no-index --find-links /opt/wheels tapwire-contracts tapwire-node

FROM base AS services
COPY --from=services-installed /opt/tapwire /opt/tapwire
USER 10001:10001
CMD ["tapwire-core", "run"]

FROM base AS node
COPY --from=node-installed /opt/tapwire /opt/tapwire
USER 10001:10001
CMD ["tapwire-node", "run", "--config", "/tap/tap.toml"]
