# CPU image of the service: no torch, no compiler, not root, read-only root file system.
# Build: docker build -t medstt .      Run: see serving/compose.yaml
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/medstt
ENV PATH=/opt/medstt/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
COPY vocab vocab
COPY training training
RUN pip install -c constraints.txt ".[serve]" && ! pip show torch >/dev/null 2>&1

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 medstt && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin medstt \
    && mkdir /var/lib/medstt && chown 10001:10001 /var/lib/medstt && chmod 700 /var/lib/medstt
COPY --from=build /opt/medstt /opt/medstt
ENV PATH=/opt/medstt/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/medstt MEDSTT_HOME=/var/lib/medstt MEDSTT_HOST=0.0.0.0 MEDSTT_PORT=8000
USER 10001:10001
VOLUME /var/lib/medstt
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["medstt"]
CMD ["serve"]
