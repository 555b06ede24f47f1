"""A bundle behind HTTP: what a bad request gets, and that the server outlives it."""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.bundle import load

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
JSON = {"Content-Type": "application/json"}
SENTENCES = ["The bank denied that prices rose.", "", None]


# --- the limit itself ---------------------------------------------------------------------------------


def limits():
    spec = importlib.util.spec_from_file_location("limits", DOCKER / "limits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(chunks, *, headers=(), limit=10, wait=0.0):
    """Return the status of a request, and the body that the application behind the limit got."""
    sent, got = [], []
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]

    async def receive():
        await asyncio.sleep(wait)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async def application(scope, receive, send):
        got.append((await receive())["body"])
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})

    scope = {"type": "http", "headers": list(headers)}
    asyncio.run(limits().BodyLimit(application, limit, 1)(scope, receive, send))
    return (sent[0]["status"] if sent else None), got


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ([b"0123456789"], (), 200),
        ([b"01234", b"56789"], (), 200),
        ([b""], (), 200),
        ([b"01234", b"56789", b"x"], (), 413),
        ([b"0123456789x"], [(b"content-length", b"11")], 413),
        ([b"0123456789"] * 20, (), 413),
        ([b"never read"], [(b"content-length", b"999")], 413),
        ([b"x"], [(b"content-length", b"-1")], 413),
        ([b"x"], [(b"content-length", b"1")], 200),
    ],
)
def test_a_body_up_to_the_limit_passes_whole(chunks, headers, status):
    found, got = asked(chunks, headers=headers)
    assert found == status
    assert got == ([b"".join(chunks)] if status == 200 else [])


def test_a_client_that_leaves_gets_nothing():
    assert asked([]) == (None, [])


@pytest.mark.parametrize("chunks", [[b"0"] * 4, [b"0123456789"] * 4])
def test_a_body_that_comes_in_drops_gets_408(chunks):
    assert asked(chunks, wait=0.4) == (408, [])


def test_slow_clients_do_not_block_the_server():
    """Uvicorn with the limit, all its places taken by clients that send a byte and wait."""
    import uvicorn

    async def application(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    limited = limits().BodyLimit(application, 1000, 0.5)
    server = uvicorn.Server(
        uvicorn.Config(limited, port=0, limit_concurrency=3, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        address = server.servers[0].sockets[0].getsockname()
        slow = [socket.create_connection(address, timeout=10) for _ in range(2)]
        for client in slow:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)
        assert status(address) == 503
        for client in slow:
            assert b" 408 " in client.recv(1000)
            assert client.makefile("rb").read() is not None  # to the end: the server hangs up
        assert status(address) == 200
    finally:
        server.should_exit = True
        thread.join(10)


def status(address):
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("POST", "/", b"{}")
    return connection.getresponse().status


# --- servers ------------------------------------------------------------------------------------------


class Server:
    """A server in a process of its own."""

    def __init__(self, command, env, cwd):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = (Path(cwd) / "server.log").open("w+b")
        command = [part.format(port=self.port) for part in command]
        self.process = subprocess.Popen(
            command, env=env, cwd=cwd, stdout=self.log, stderr=self.log, start_new_session=True
        )
        until = time.monotonic() + 900  # generous: on a busy machine an import takes minutes
        while not self.lives():
            if self.process.poll() is not None or time.monotonic() > until:
                said = self.said()
                self.stop()
                raise AssertionError(said)
            time.sleep(0.5)

    def lives(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5).status == 200
        except OSError:
            return False

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()[-3000:]

    def ask(self, body, headers=JSON):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def environment(binaries, **more):
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **more}


@pytest.fixture(scope="module", params=["mlflow models serve", "limits"])
def server(request, trained, tmp_path_factory):
    if request.param == "limits":
        command = ["uvicorn", "--app-dir", str(DOCKER), "limits:app", "--port", "{port}"]
    else:
        command = ["mlflow", "models", "serve", "-m", str(trained.bundle), "--env-manager", "local"]
        command += ["-p", "{port}", "-w", "1"]
    command[0] = str(BIN / command[0])
    env = environment(BIN, MODEL=str(trained.bundle), HOME=os.environ.get("HOME", "/"))
    started = Server(command, env, tmp_path_factory.mktemp("server"))
    started.limited = request.param == "limits"
    yield started
    started.stop()


REFUSED = {
    "no JSON": (b'{"inputs": [', "valid JSON"),
    "not UTF-8": (b'{"inputs": ["\xff"]}', "valid JSON"),
    "a list": (b'["text"]', "Received a list"),
    "another key": (b'{"texts": ["text"]}', "'inputs' key"),
    "a missing column": (b'{"inputs": {"body": ["text"]}}', "expected a column named 'text', got body"),
    "a number": (b'{"inputs": [5]}', "row 0: expected a string, got int"),
    "one string": (b'{"inputs": "text"}', "got one string; pass [text]"),
    "one string in a column": (b'{"inputs": {"text": "text"}}', "got one string; pass [text]"),
    "rows": (b'{"inputs": [{"text": "a"}]}', "row 0: expected a string, got dict"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_gets_a_4xx_that_says_why(server, trained, name):
    body, words = REFUSED[name]
    status, said = server.ask(body)
    assert (status, words in said) == (400, True), said
    status, said = server.ask(json.dumps({"inputs": SENTENCES}))
    assert status == 200
    assert [row["labels"] for row in json.loads(said)["predictions"]] == load(trained.bundle).label(SENTENCES)


@pytest.mark.slow
def test_another_content_type(server):
    assert server.ask(b"<a/>", {"Content-Type": "text/xml"})[0] == 415


@pytest.mark.slow
@pytest.mark.parametrize("chunked", [False, True])
def test_fifty_megabytes(server, chunked):
    """MLflow's own server takes them all: a limit is what `docker/limits.py` adds. Both live on."""
    body = b'{"inputs": ["' + b"x" * 50_000_000 + b'"]}'
    pieces = iter([body[i : i + 65536] for i in range(0, len(body), 65536)])
    status, said = server.ask(pieces if chunked else body)
    if server.limited:
        assert (status, "send fewer sentences at once" in said) == (413, True)
    else:
        assert status in (200, 504)
    assert server.ask(b'{"inputs": ["text"]}')[0] == 200


# --- with few packages, and what the Dockerfile does ---------------------------------------------------


def instructions(text):
    """Return the instructions of a Dockerfile, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines()]


@pytest.fixture(scope="module")
def bare(trained, tmp_path_factory):
    """What the image holds: a bare environment with the requirements, and the files copied."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([BIN / "uv", "venv", "-q", "--python", sys.executable, folder / "env"], check=True)
    values = {"BUNDLE": str(trained.bundle)}
    for what, rest in instructions((DOCKER / "Dockerfile").read_text()):
        rest = rest.replace("${BUNDLE}", values["BUNDLE"])
        if what == "COPY":
            *sources, target = rest.split()
            for source in sources:
                source = ROOT / source
                if source.is_dir():
                    shutil.copytree(source, folder / target)
                else:
                    shutil.copy(source, folder / target)
        elif what == "RUN" and rest.startswith("pip install --no-cache-dir "):
            given = shlex.split(rest.removeprefix("pip install --no-cache-dir "))
            install = [BIN / "uv", "pip", "install", "-q", "--python", folder / "env" / "bin" / "python"]
            subprocess.run([*install, *given], check=True, cwd=folder, timeout=1200)
    return folder


@pytest.mark.slow
def test_the_bundle_loads_with_nothing_but_its_requirements(bare, trained):
    code = """
import json, sys
sys.path.insert(0, "bundle/code")
from pipeline.bundle import load
print(json.dumps(load("bundle").probabilities(json.loads(sys.argv[1])).tolist()), *sorted(sys.modules))
"""
    done = subprocess.run(
        [bare / "env" / "bin" / "python", "-c", code, json.dumps(SENTENCES)],
        capture_output=True,
        text=True,
        cwd=bare,
        env=environment(bare / "env" / "bin"),
    )
    assert done.returncode == 0, done.stderr
    scores, _, modules = done.stdout.partition("]] ")
    assert json.loads(f"{scores}]]") == load(trained.bundle).probabilities(SENTENCES).tolist()
    assert "mlflow" not in modules.split()


@pytest.mark.slow
def test_the_command_of_the_image_serves(bare, trained):
    steps = dict(instructions((DOCKER / "Dockerfile").read_text()))
    command = json.loads(steps["CMD"].replace("CMD ", "")) if steps["CMD"].startswith("[") else None
    assert command[command.index("--port") + 1] == steps["EXPOSE"]
    command[command.index("--port") + 1] = "{port}"
    command[0] = str(bare / "env" / "bin" / command[0])
    settings = dict(pair.split("=", 1) for pair in shlex.split(steps["ENV"]))
    assert settings["MODEL"] == "/srv/bundle"
    env = environment(bare / "env" / "bin", **settings) | {"MODEL": "bundle", "HOME": str(bare)}
    server = Server(command, env, bare)
    try:
        status, said = server.ask(json.dumps({"inputs": SENTENCES}))
        assert status == 200, said
        found = [list(row.values())[1:] for row in json.loads(said)["predictions"]]
        assert found == load(trained.bundle).probabilities(SENTENCES).tolist()
        assert server.ask(b'{"inputs": [')[0] == 400
        assert server.ask(b"x" * 9_000_000)[0] == 413
        assert server.lives()
    finally:
        server.stop()
