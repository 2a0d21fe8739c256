"""How much a request may carry: its head, and the bodies that are kept in memory."""

from __future__ import annotations

import json
import socket
import tracemalloc

import pytest
import requests
from furniture import PERFORMANCE, Http, furnish

from tsbulk_frames.sandbox import Rules, Sandbox

HEADS = {
    "one header": [b"X: " + b"y" * 70_000 + b"\r\n\r\n"],
    "many headers": [b"X: y\r\n" * 20_000 + b"\r\n"],
    "no end": [b"X: " + b"y" * 1_000_000],
    "in pieces": [b"X: ", *[b"y" * 1000] * 400],
    "behind the body": [b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: " + b"y" * 400_000],
}


@pytest.mark.parametrize("pieces", HEADS.values(), ids=HEADS)
def test_headers_are_bounded(pieces: list[bytes]):
    """Over 64 KiB of them, ended or not, at once or not, are 431 in JSON, and the connection ends."""
    with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"PUT /oauth/token HTTP/1.1\r\nHost: x\r\n")
            for piece in pieces:
                client.sendall(piece)
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
        assert b"HTTP/1.1 431 Request Header Fields Too Large\r\n" in answer
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["errors"][0]["message"].startswith("the request line")


def test_a_long_url_is_431():
    """The request line counts as well; just below the bound nothing is refused."""
    with Sandbox() as sandbox:
        assert requests.get(sandbox.url + "/token_keys?" + "x" * 70_000, timeout=9).status_code == 431
        assert requests.get(sandbox.url + "/token_keys?" + "x" * 64_000, timeout=9).status_code == 200


def test_what_is_no_http():
    """Bytes that are no request are 400 in JSON."""
    with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"\x16\x03\x01\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["errors"]


BODIES = [
    ("POST", "/oauth/token", 100_000),
    ("POST", "/api/technicaltokenmanager/v3/oauth/token", 100_000),
    ("POST", "/api/assetmanagement/v3/assets", 1_000_000),
    ("POST", "/api/iottsbulk/v3/importJobs", 10_000_000),
    ("PUT", f"/api/iottimeseries/v3/timeseries/{PERFORMANCE}/pump", 20_000_000),
]


@pytest.mark.parametrize("most", [500, 20_000_000])
@pytest.mark.parametrize(("method", "path", "own"), BODIES)
def test_every_body_is_bounded(method: str, path: str, own: int, most: int):
    """Over its bound a body is 413, announced or not, and no more of it than that is ever held."""
    limit = min(own, most)
    with Sandbox(rules=Rules(max_body_bytes=most)) as sandbox:
        furnish(sandbox)
        with Http(sandbox) as http:
            basic = requests.auth._basic_auth_str(sandbox.client_id, sandbox.client_secret)
            headers = {"X-SPACE-AUTH-KEY": basic} | ({"Authorization": basic} if path == "/oauth/token" else {})
            assert http.request(method, path, data=b" " * limit, headers=headers).status_code == 400
            assert http.request(method, path, data=b" " * (limit + 1), headers=headers).status_code == 413
            if limit > 500:
                return
            block = b" " * 1_000_000
            tracemalloc.start()
            try:
                answer = http.request(method, path, data=(block for _ in range(50)), headers=headers)
                assert answer.status_code == 413
                assert tracemalloc.get_traced_memory()[1] < 10 * len(block)
            finally:
                tracemalloc.stop()
