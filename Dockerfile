# The exporter, with what the flights demo needs. Run as an unprivileged user; only /data is written to.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY predlog predlog
COPY exporter exporter
COPY dashboards dashboards
COPY alerting alerting
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    --constraint constraints.txt ./predlog '.[demo]'

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/venv /opt/venv
# A new named volume takes over the folder's owner from here.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin exporter \
    && install --directory --owner=exporter --group=exporter /data /data/state /data/logs /data/baselines \
        /data/secrets /data/responder
USER 10001:10001
WORKDIR /data
EXPOSE 9750
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9750/-/healthy', timeout=4)"]
ENTRYPOINT ["prediction-exporter"]
CMD ["serve", "--config", "prediction-exporter.yml"]
