# Builds the tested environment, and fails if the fast tests fail. Run `docker build -t okdhp_mm .`
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ git make libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /okdhp_mm
COPY . .
RUN make setup && rm -rf /root/.cache
RUN make test
ENV PATH=/okdhp_mm/.venv/bin:$PATH
CMD ["bash"]
