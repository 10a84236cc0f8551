# The page, with the default model inside.
#   CPU:   docker build -t hneurons .
#   CUDA:  docker build -t hneurons:cuda --build-arg BASE=nvidia/cuda:12.8.1-base-ubuntu24.04 .
#   run:   docker run -p 8501:8501 -v hneurons:/data hneurons           (CUDA: add --gpus all)
#          open it as http://localhost:8501; for others add -e HNEURONS_HOSTS=NAME-OR-ADDRESS-OF-THE-HOST
#   HTTP:  docker run -p 8600:8600 -v hneurons:/data hneurons make serve SERVE_ADDRESS=0.0.0.0
# Plain torch for Linux brings the CUDA libraries along, whatever the base. To keep them out of a CPU
# image, name an index that has CPU builds: --build-arg TORCH_ARGS="--extra-index-url ADDRESS".
ARG BASE=python:3.11-slim
FROM ${BASE}

# A CUDA base has no Python of its own; python:3.11-slim has no make.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && (command -v python3 >/dev/null || apt-get install -y --no-install-recommends python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home explorer && mkdir -p /srv/hneurons /data && chown explorer /srv/hneurons /data
USER explorer
WORKDIR /srv/hneurons
ENV HNEURONS_HOME=/data PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 CI=1

# Packages change seldom, code often: two layers.
ARG TORCH_ARGS=""
COPY --chown=explorer Makefile requirements*.txt requirements.lock ./
RUN make packages TORCH_ARGS="${TORCH_ARGS}"
COPY --chown=explorer . .
RUN make setup model

VOLUME /data
EXPOSE 8501 8600
HEALTHCHECK --start-period=60s CMD [".venv/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
CMD ["make", "run", "ADDRESS=0.0.0.0"]
