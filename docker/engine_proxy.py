"""Lets sandboxes, and nothing else, reach the host's container engine.

Whoever may talk to the engine freely owns the host. So this passes on only the requests that Toryo's sandbox makes,
and creates no container that could reach the host: no mounts, devices, privileges, nor namespaces of the host.

Ready-made proxies were tried: HAProxy drops `Upgrade` from a request with a body, which is how the engine opens a
command's streams; nginx ends such a stream when one side has said all it has to say, which cuts uploads short.

One request a connection, standard library only. Usage: engine_proxy.py [PORT [SOCKET]]
"""

import asyncio
import json
import re
import sys

HEAD_BYTES = 64 * 1024
BODY_BYTES = 1024 * 1024
HEAD_SECONDS = 10

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
# Method, and path without version and query. Paths are matched whole, so nothing climbs out of them.
ROUTES = [
    ("GET|HEAD", r"/(_ping|version|info)"),
    ("GET", r"/(containers|images)/json"),
    ("POST", r"/containers/create"),
    ("GET", rf"/containers/{NAME}/(json|logs)"),
    ("GET|HEAD|PUT", rf"/containers/{NAME}/archive"),
    ("POST", rf"/containers/{NAME}/(start|stop|kill|wait|exec)"),
    ("DELETE", rf"/containers/{NAME}"),
    ("POST", r"/exec/[a-f0-9]+/start"),
    ("GET", r"/exec/[a-f0-9]+/json"),
    ("POST", r"/(images/create|commit)"),
    ("GET", r"/images/[A-Za-z0-9][A-Za-z0-9_.:@/-]*/json"),
    ("DELETE", r"/images/[A-Za-z0-9][A-Za-z0-9_.:@/-]*"),
]
# Bodies of these are archives: they are passed on as they come.
STREAMED = re.compile(rf"/containers/{NAME}/archive|/images/create")
EXEC_START = re.compile(r"/exec/[a-f0-9]+/start")
EXEC_CREATE = re.compile(rf"/containers/{NAME}/exec")

# What a sandbox's container may say about the host, in lower case. Everything else must be left out or empty.
HOST_CONFIG = {
    "autoremove", "capadd", "capdrop", "init", "logconfig", "memory", "memoryswap", "nanocpus", "networkmode",
    "pidslimit", "readonlyrootfs", "runtime", "securityopt", "tmpfs", "ulimits",
}
# What a package manager needs to finish the base image.
CAPABILITIES = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID"}


class Refused(Exception):
    """The request is not one of the sandbox's; the text says why."""


def folded(pairs):
    """An object with keys as the engine compares them: without regard to case, and none twice."""
    result = {}
    for key, value in pairs:
        if key.casefold() in result:
            raise Refused(f"{key} stands twice")
        result[key.casefold()] = value
    return result


def judge(method, target, body):
    """Raises Refused unless the sandbox makes such requests. `body` is None where it is streamed."""
    path = re.sub(r"^/v[0-9.]+/", "/", target.partition("?")[0])
    if ".." in path or not any(
        re.fullmatch(methods, method) and re.fullmatch(route, path) for methods, route in ROUTES
    ):
        raise Refused(f"{method} {path} is not a request of the sandbox")
    if path == "/containers/create":
        judge_container(parse(body))
    elif EXEC_CREATE.fullmatch(path) and parse(body).get("privileged"):
        raise Refused("a command may not be privileged")


def parse(body):
    try:
        value = json.loads(body, object_pairs_hook=folded)
    except ValueError as error:
        raise Refused("the body is no JSON") from error
    if not isinstance(value, dict):
        raise Refused("the body is no object")
    return value


def judge_container(container):
    host = container.get("hostconfig") or {}
    if not isinstance(host, dict) or container.get("volumes"):
        raise Refused("volumes are not for sandboxes")
    for key, value in host.items():
        if value and key not in HOST_CONFIG:
            raise Refused(f"{key} is not for sandboxes")
    network = host.get("networkmode") or ""
    if network == "host" or network.startswith("container:"):
        raise Refused("a sandbox has no network of the host or of another container")
    if not set(host.get("capadd") or []) <= CAPABILITIES:
        raise Refused("too many capabilities")
    if not set(host.get("securityopt") or []) <= {"no-new-privileges", "no-new-privileges:true"}:
        raise Refused("security options may only add to the default")


class Request:
    """The head of a request, taken apart strictly."""

    def __init__(self, head):
        first, *lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.target, version = first.split(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not re.fullmatch(r"/[!-~]*", self.target):
            raise Refused("that is no request")
        self.headers = []
        for line in lines:
            if not re.fullmatch(r"[A-Za-z0-9-]+:[\t -~]*", line):
                raise Refused("that is no header")
            name, _, value = line.partition(":")
            self.headers.append((name.lower(), value.strip()))
        lengths = [value for name, value in self.headers if name == "content-length"]
        self.chunked = any(name == "transfer-encoding" for name, _ in self.headers)
        if len(lengths) > 1 or (lengths and self.chunked) or not all(value.isdigit() for value in lengths):
            raise Refused("the body's length is not clear")
        self.length = int(lengths[0]) if lengths else 0
        self.path = re.sub(r"^/v[0-9.]+/", "/", self.target.partition("?")[0])
        self.streamed = self.method in ("PUT", "POST") and bool(STREAMED.fullmatch(self.path))
        self.upgrades = self.method == "POST" and bool(EXEC_START.fullmatch(self.path))

    def head(self):
        """For the engine, which closes the connection afterwards: nothing can follow unjudged."""
        connection = "Upgrade, close" if self.upgrades else "close"
        kept = [(name, value) for name, value in self.headers if name not in ("connection", "upgrade", "expect")]
        kept.append(("connection", connection))
        if self.upgrades:
            kept.append(("upgrade", "tcp"))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in kept)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def copy(reader, writer):
    """Copies to the end, and then says so, leaving the other direction open."""
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def serve(reader, writer, socket):
    request = Request(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS))
    body = None
    if not request.streamed:
        if request.chunked or request.length > BODY_BYTES:
            raise Refused("the body's length is not clear, or too much")
        body = await asyncio.wait_for(reader.readexactly(request.length), HEAD_SECONDS)
    judge(request.method, request.target, body)
    if any(name == "expect" for name, _ in request.headers):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    from_engine, to_engine = await asyncio.open_unix_connection(socket, limit=HEAD_BYTES)
    try:
        to_engine.write(request.head() + (body or b""))
        await to_engine.drain()
        if request.upgrades:
            answer = await from_engine.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if answer.split(b" ", 2)[1] == b"101":
                upload = asyncio.ensure_future(copy(reader, to_engine))
                await finish(copy(from_engine, writer), upload)
                return
        upload = asyncio.ensure_future(copy(reader, to_engine)) if request.streamed else None
        await finish(copy(from_engine, writer), upload)
    finally:
        to_engine.close()


async def finish(download, upload):
    """The answer's end is the end; what is still on its way to the engine then comes too late."""
    try:
        await download
    finally:
        if upload:
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)


async def main(port=2375, socket="/var/run/docker.sock"):
    # The event loop itself keeps only weak references to its tasks.
    connections = set()

    async def connected(reader, writer):
        connections.add(asyncio.current_task())
        try:
            await serve(reader, writer, socket)
        except Refused as refused:
            print(f"refused: {refused}", file=sys.stderr, flush=True)
            answer = json.dumps({"message": f"refused by the engine's proxy: {refused}"}).encode()
            head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\n"
            writer.write(f"{head}content-length: {len(answer)}\r\n\r\n".encode() + answer)
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # The client or the engine went away, or spoke no HTTP. Closing is the answer.
        finally:
            writer.close()
            connections.discard(asyncio.current_task())

    server = await asyncio.start_server(connected, "0.0.0.0", int(port), limit=HEAD_BYTES)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
