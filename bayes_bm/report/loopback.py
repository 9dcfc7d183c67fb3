"""What pages on the loopback address share: only this machine is answered, nothing is asked of any other host.

The socket is bound to 127.0.0.1 and other Host headers are refused, so that no page elsewhere can read an answer
through the browser (DNS rebinding). Clients may be slow, wrong or many: one has seconds to ask its question, and
questions beyond those that can soon be answered are refused with 503, which tells a browser to come back.
"""

import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from bayes_bm.runtime.errors import BayesBmError, InputError

ADDRESS = "127.0.0.1"
"""The loopback address: nobody but this machine is answered."""
LARGEST_QUESTION = 100_000
"""Bytes of a question."""
ASKED_WITHIN = 10.0
"""Seconds that a client has from opening its connection to the end of its question, and again to take the answer."""
WAITING = 8
"""Questions that wait for the one that is being answered; an answer takes a second or two."""
ANSWERED_WITHIN = 30.0
"""Seconds that a question waits before it is refused."""
CONNECTIONS = 512
"""Connections at once, each of them a thread; one more is closed unanswered."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


class LoopbackServer(ThreadingHTTPServer):
    """Answer many clients on this machine; one that leaves in the middle is nobody's fault."""

    # connections that came in at once and wait to be accepted; beyond, the system drops them
    request_queue_size = CONNECTIONS

    def __init__(self, handler: "type[LoopbackHandler]", port: int) -> None:
        super().__init__((ADDRESS, port), handler)
        self.places = threading.BoundedSemaphore(WAITING + 1)
        self.turn = threading.Lock()
        self._open = threading.BoundedSemaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._open.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def loopback_server(handler: "type[LoopbackHandler]", port: int = 0) -> LoopbackServer:
    """Return a server on the loopback address, not yet running; port 0 takes a free one."""
    try:
        return LoopbackServer(handler, port)
    except OSError as problem:
        raise InputError("--port", found=f"{port} ({problem.strerror})", allowed="a free port, or 0 for any") from None
    except OverflowError:
        raise InputError("--port", found=port, allowed="0 to 65535") from None


class _Hurried(io.RawIOBase):
    """What a client sends until a moment; a client that sends a byte now and then is not waited for any longer."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._end = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        self._connection.settimeout(ASKED_WITHIN)
        return count


@dataclass(frozen=True)
class _Reply:
    status: HTTPStatus
    document: Mapping[str, Any]


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answer one page of `report/templates`, what it asks for once (`about`), and questions as JSON."""

    server: LoopbackServer  # pyright: ignore[reportIncompatibleVariableOverride]
    template: str
    server_version = "bayes-bm"
    sys_version = ""
    timeout = ASKED_WITHIN

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Hurried(self.connection, ASKED_WITHIN))

    def page(self) -> bytes:
        """Return the page itself."""
        return resources.files("bayes_bm").joinpath(f"report/templates/{self.template}").read_bytes()

    def about(self) -> dict[str, Any]:
        """Return what the page is sent once."""
        raise NotImplementedError

    def questions(self) -> Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """Return what answers the questions to each path."""
        raise NotImplementedError

    def do_GET(self) -> None:
        if not self._is_here():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, self.page(), "text/html; charset=utf-8")
        elif self.path == "/about":
            self._json(_Reply(HTTPStatus.OK, self.about()))
        else:
            self._json(_error(HTTPStatus.NOT_FOUND, "there is one page here, /"))

    def do_POST(self) -> None:
        if not self._is_here():
            return
        answers = self.questions()
        if self.path not in answers:
            self._json(_error(HTTPStatus.NOT_FOUND, f"questions go to {', '.join(answers)}"))
            return
        self._json(self._reply(answers[self.path]))

    def _reply(self, answer: Callable[[Mapping[str, Any]], dict[str, Any]]) -> _Reply:
        """The answer to the question that the client sends, or why there is none."""
        try:
            return self._answer_in_turn(answer, self._question())
        except BayesBmError as problem:
            return _error(HTTPStatus.BAD_REQUEST, str(problem))
        except TimeoutError:
            return _error(HTTPStatus.REQUEST_TIMEOUT, f"no whole question in {ASKED_WITHIN:g} seconds")
        except OSError:
            # the client has left: nobody hears a reply, and `handle_error` lets it go
            raise
        except Exception as problem:
            text = f"a fault of the program, not of the input: {type(problem).__name__}: {problem}"
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, text)

    def _answer_in_turn(
        self, answer: Callable[[Mapping[str, Any]], dict[str, Any]], question: Mapping[str, Any]
    ) -> _Reply:
        """One answer at a time: matplotlib and the quadrature share what they keep."""
        busy = _error(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions at once: ask again in a moment")
        if not self.server.places.acquire(blocking=False):
            return busy
        try:
            if not self.server.turn.acquire(timeout=ANSWERED_WITHIN):
                return busy
            try:
                return _Reply(HTTPStatus.OK, answer(question))
            finally:
                self.server.turn.release()
        finally:
            self.server.places.release()

    def _is_here(self) -> bool:
        """Whether the page was asked for under this machine's own address, once."""
        port = self.server.server_address[1]
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0] in (f"{ADDRESS}:{port}", f"localhost:{port}"):
            return True
        self._json(_error(HTTPStatus.FORBIDDEN, f"this page is answered at http://{ADDRESS}:{port}/ only"))
        return False

    def _question(self) -> Mapping[str, Any]:
        # a form of another site cannot send this type without asking first
        if self.headers.get_content_type() != "application/json":
            raise InputError("question", found=self.headers.get_content_type(), allowed="application/json")
        data = self.rfile.read(self._size())
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            raise InputError("question", found="no JSON", allowed="a JSON object") from None
        if not isinstance(document, dict):
            raise InputError("question", found="no JSON object", allowed="a JSON object")
        return document

    def _size(self) -> int:
        """Bytes of the question, as the client says once, in plain digits."""
        stated = self.headers.get_all("Content-Length", [])
        if len(stated) != 1 or not re.fullmatch(r"[0-9]{1,9}", stated[0]) or int(stated[0]) > LARGEST_QUESTION:
            found = f"{', '.join(stated)[:20] or 'no'} bytes"
            raise InputError("question", found=found, allowed=f"Content-Length: up to {LARGEST_QUESTION}")
        return int(stated[0])

    def _json(self, reply: _Reply) -> None:
        self._send(reply.status, json.dumps(reply.document).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "5"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """The library is silent; what is asked about is not written anywhere."""


def _error(status: HTTPStatus, text: str) -> _Reply:
    return _Reply(status, {"error": text})
