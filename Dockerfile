# One image for everything that l2liq runs: the command line, Airflow's parts with the DAGs, the stream.
FROM python:3.12.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY docker/constraints.txt /build/docker/constraints.txt
RUN /opt/venv/bin/pip install -r /build/docker/constraints.txt
COPY pyproject.toml README.md LICENSE /build/
COPY l2liq /build/l2liq
COPY pipelines /build/pipelines
COPY schemas /build/schemas
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation /build

FROM python:3.12.11-slim-bookworm
RUN groupadd --gid 10001 l2liq && useradd --uid 10001 --gid l2liq --create-home l2liq \
    && install -d -o l2liq -g l2liq /data /opt/airflow
COPY --from=build /opt/venv /opt/venv
COPY dags /opt/l2liq/dags
COPY docker/start docker/airflow-init /opt/l2liq/bin/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/l2liq \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/l2liq/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    L2LIQ_CACHE=/data/cache
USER l2liq
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=60s --timeout=20s CMD ["l2liq", "--version"]
ENTRYPOINT ["/opt/l2liq/bin/start"]
CMD ["l2liq", "--help"]
