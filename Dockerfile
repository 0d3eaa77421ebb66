# The image of Toryo: one program, which serves (`toryo serve`), works (`toryo worker`) or migrates (`toryo migrate`).
# Build it with `docker build -t toryo .`; docker-compose.yml says what it runs beside.

FROM rust:1.95-slim-bookworm AS builder
WORKDIR /src
COPY . .
# The slim image has the C compiler that libgit2, ring and the grammars need; nothing else is installed.
RUN cargo build --release --locked --package toryo --bin toryo \
 && install -D target/release/toryo /out/toryo

FROM debian:bookworm-slim
# git: clones and fetches. ca-certificates: model providers and forges.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 toryo \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/toryo --create-home --shell /usr/sbin/nologin toryo
COPY --from=builder /out/toryo /usr/local/bin/toryo
COPY --chmod=0755 docker/healthcheck /usr/local/bin/toryo-healthcheck

# A number, so that Kubernetes can check `runAsNonRoot`.
USER 10001:10001
WORKDIR /var/lib/toryo
VOLUME /var/lib/toryo
EXPOSE 8080
# Toryo reaps its children and ends in good order on SIGTERM, so it needs no init process in front of it.
STOPSIGNAL SIGTERM
# For `toryo serve`; whoever runs another command switches it off, as docker-compose.yml does for the worker.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["toryo-healthcheck"]
ENTRYPOINT ["toryo"]
CMD ["serve"]
