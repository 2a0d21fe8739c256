"""The forms in which answers have been published or seen, as changes for `Rewrite`; and those that gzip can take."""

from __future__ import annotations

import gzip
import re

from tsbulk_frames.sandbox.trouble import Reply

__all__ = [
    "broken_gzip",
    "cut_gzip",
    "false_gzip",
    "gzipped",
    "job_accepted",
    "job_in_list",
    "next_as_link",
    "next_elsewhere",
    "next_null",
    "old_job_names",
    "token_alone",
]


def job_in_list(reply: Reply) -> None:
    """Answer a job as the only element of a list, as some versions of the service do."""
    if isinstance(reply.json, dict):
        reply.json = [reply.json]


def old_job_names(reply: Reply) -> None:
    """Answer a job under the field names of older versions: ``jobId``, ``jobStartTime``, ``jobLastModified``."""
    names = {"id": "jobId", "startTime": "jobStartTime", "lastModified": "jobLastModified"}
    if isinstance(reply.json, dict):
        reply.json = {names.get(name, name): value for name, value in reply.json.items()}


def job_accepted(reply: Reply) -> None:
    """Answer 202 where a job was made."""
    if reply.status == 201:
        reply.status = 202


def next_elsewhere(reply: Reply) -> None:
    """Give ``nextRecord`` a wrong host and the path of another service: only its query is to be trusted."""
    page = reply.json
    if isinstance(page, dict) and page.get("nextRecord"):
        wrong = re.sub(r"^https?://[^/]+", "https://gateway.eu1.mindsphere.example", page["nextRecord"])
        reply.json = page | {"nextRecord": wrong.replace("/iottsbulk/", "/iottimeseries/")}


def next_as_link(reply: Reply) -> None:
    """Announce the next page in a ``Link`` header, with no ``nextRecord`` in the body."""
    page = reply.json
    if isinstance(page, dict) and page.get("nextRecord"):
        reply.headers["link"] = f'<{page["nextRecord"]}>; rel="next"'
        reply.json = {name: value for name, value in page.items() if name != "nextRecord"}


def next_null(reply: Reply) -> None:
    """End the last page with ``nextRecord`` null, which means the same as none."""
    page = reply.json
    if isinstance(page, dict) and "records" in page and not page.get("nextRecord"):
        reply.json = page | {"nextRecord": None}


def token_alone(reply: Reply) -> None:
    """Answer a token without how long it lives."""
    answer = reply.json
    if isinstance(answer, dict) and "access_token" in answer:
        reply.json = {"access_token": answer["access_token"]}


def gzipped(reply: Reply) -> None:
    """Compress the body, if the client accepts that."""
    if reply.gzip_accepted and reply.body:
        reply.headers["content-encoding"] = "gzip"
        reply.body = gzip.compress(reply.body, 1)


def broken_gzip(reply: Reply) -> None:
    """Compress the body, and damage what comes out."""
    gzipped(reply)
    if "content-encoding" in reply.headers:
        middle = len(reply.body) // 2
        flipped = bytes(byte ^ 0xFF for byte in reply.body[middle : middle + 8])
        reply.body = reply.body[:middle] + flipped + reply.body[middle + 8 :]


def cut_gzip(reply: Reply) -> None:
    """Compress the body, and lose its end with a length that fits what is left."""
    gzipped(reply)
    if "content-encoding" in reply.headers:
        reply.body = reply.body[: len(reply.body) * 2 // 3]


def false_gzip(reply: Reply) -> None:
    """Claim gzip for a body that is not compressed."""
    if reply.gzip_accepted and reply.body:
        reply.headers["content-encoding"] = "gzip"
