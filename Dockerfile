# The server with the packaged model: docker build -t arxiv_nbclf . && docker run --rm -p 8000:8000 arxiv_nbclf
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels

FROM python:3.11-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(ls /wheels/*.whl)[serve,fast]"
RUN useradd --create-home --uid 10001 arxiv
USER arxiv
WORKDIR /home/arxiv
ENV PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/home/arxiv/.numba
# Code is compiled once, here, and not at each start.
RUN python -c "from arxiv_nbclf.deployment.server import Service; Service().warm_up()"
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["arxiv-nbclf"]
CMD ["serve", "--host", "0.0.0.0"]
