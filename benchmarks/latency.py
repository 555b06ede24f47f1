"""Latency of the HTTP server under a bounded load, from this machine.

    python benchmarks/latency.py [model=models/latest] [seconds=20] [server=mlflow|limits]

Starts the server with one worker, then for each number of clients sends requests one after the other
on open connections: a request, its answer, the next request. So load is bounded by the clients, and
latency is that of a server kept busy, not of a queue that grows. Client and server share the cores.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CLIENTS = (1, 2, 4, 8)
SIZES = (1, 32, 256)


def settings() -> dict[str, str]:
    """Return the defaults with what the command line changes."""
    known = {"model": str(ROOT / "models" / "latest"), "seconds": "20", "server": "limits"}
    return known | dict(argument.split("=", 1) for argument in sys.argv[1:])


def start(server: str, model: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "MODEL": model, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    if server == "mlflow":
        command = [str(BIN / "mlflow"), "models", "serve", "-m", model, "--env-manager", "local"]
        command += ["-p", str(port), "-w", "1"]
    else:
        command = [str(BIN / "uvicorn"), "--app-dir", str(ROOT / "docker"), "limits:app", "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet, start_new_session=True)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).read()
        except OSError:
            time.sleep(0.5)
        else:
            return process, port
    raise SystemExit("the server did not answer")


def load(port: int, bodies: list[bytes], clients: int, until: float) -> list[float]:
    """Return the seconds that each request took."""
    took: list[float] = []

    def client(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        number = first
        while time.perf_counter() < until:
            body = bodies[number % len(bodies)]
            number += clients
            began = time.perf_counter()
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - began)
            if answer.status != 200:
                raise SystemExit(f"status {answer.status}")

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def main() -> None:
    """Measure every number of clients with every size of request."""
    from pipeline.ingest import ingest

    given = settings()
    texts = [sentence.text for sentence in ingest(ROOT / "data" / "articles")]
    process, port = start(given["server"], given["model"])
    try:
        print(
            f"{given['server']}, one worker, {given['model']}, {os.cpu_count()} cores shared with the client"
        )
        print(f"{'clients':>7}{'sentences':>11}{'requests':>10}{'p50 ms':>9}{'p99 ms':>9}{'sentences/s':>13}")
        for size in SIZES:
            groups = [texts[i : i + size] for i in range(0, len(texts) - size, size)]
            bodies = [json.dumps({"inputs": group}).encode() for group in groups]
            load(port, bodies, 1, time.perf_counter() + 2)  # warm
            for clients in CLIENTS:
                began = time.perf_counter()
                took = load(port, bodies, clients, began + float(given["seconds"]))
                spent = time.perf_counter() - began
                p50, p99 = np.percentile(np.array(took) * 1000, [50, 99])
                rate = len(took) * size / spent
                print(f"{clients:>7}{size:>11}{len(took):>10}{p50:9.1f}{p99:9.1f}{rate:13,.0f}", flush=True)
    finally:
        os.killpg(process.pid, 15)
        process.wait()


if __name__ == "__main__":
    main()
