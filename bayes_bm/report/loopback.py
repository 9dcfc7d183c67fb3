"""What pages on the loopback address share: only this machine is answered, nothing is asked of any other host.

The socket is bound to 127.0.0.1 and other Host headers are refused, so that no page elsewhere can read an answer
through the browser (DNS rebinding).
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from bayes_bm.runtime.errors import BayesBmError, InputError

ADDRESS = "127.0.0.1"
"""The loopback address: nobody but this machine is answered."""
LARGEST_QUESTION = 100_000
"""Bytes of a question."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def loopback_server(handler: type[BaseHTTPRequestHandler], port: int = 0) -> ThreadingHTTPServer:
    """Return a server on the loopback address, not yet running; port 0 takes a free one."""
    try:
        return ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as problem:
        raise InputError("--port", found=f"{port} ({problem.strerror})", allowed="a free port, or 0 for any") from None
    except OverflowError:
        raise InputError("--port", found=port, allowed="0 to 65535") from None


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answer one page of `report/templates`, what it asks for once (`about`), and questions as JSON."""

    template: str
    server_version = "bayes-bm"
    sys_version = ""

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
            text = resources.files("bayes_bm").joinpath(f"report/templates/{self.template}").read_bytes()
            self._send(HTTPStatus.OK, text, "text/html; charset=utf-8")
        elif self.path == "/about":
            self._json(HTTPStatus.OK, self.about())
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": "there is one page here, /"})

    def do_POST(self) -> None:
        if not self._is_here():
            return
        answers = self.questions()
        if self.path not in answers:
            self._json(HTTPStatus.NOT_FOUND, {"error": f"questions go to {', '.join(answers)}"})
            return
        try:
            self._json(HTTPStatus.OK, answers[self.path](self._question()))
        except BayesBmError as problem:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(problem)})
        except Exception as problem:
            text = f"a fault of the program, not of the input: {type(problem).__name__}: {problem}"
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": text})

    def _is_here(self) -> bool:
        """Whether the page was asked for under this machine's own address."""
        address: Any = self.server.server_address
        port = address[1]
        if self.headers.get("Host") in (f"{ADDRESS}:{port}", f"localhost:{port}"):
            return True
        self._json(HTTPStatus.FORBIDDEN, {"error": f"this page is answered at http://{ADDRESS}:{port}/ only"})
        return False

    def _question(self) -> Mapping[str, Any]:
        # a form of another site cannot send this type without asking first
        if self.headers.get_content_type() != "application/json":
            raise InputError("question", found=self.headers.get_content_type(), allowed="application/json")
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > LARGEST_QUESTION:
            raise InputError("question", found=f"{size or 'no'} bytes", allowed=f"up to {LARGEST_QUESTION}")
        try:
            document = json.loads(self.rfile.read(int(size)))
        except ValueError:
            raise InputError("question", found="no JSON", allowed="a JSON object") from None
        if not isinstance(document, dict):
            raise InputError("question", found="no JSON object", allowed="a JSON object")
        return document

    def _json(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """The library is silent; what is asked about is not written anywhere."""
