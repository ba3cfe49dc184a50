"""An OpenAI-compatible server in a thread: a real tiny model behind it, and whatever misbehaviour a test asks for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import numpy as np
import torch

from uae_bench.lm.base import Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.lm.writing import write

NAME = "tiny"
Fault = int | str | dict[str, Any]


class Serving(ThreadingHTTPServer):
    """Answers as vLLM's server does, from `model`.

    `faults` are used up one per request for an answer: a status code, "hang", "lost" (the connection is closed),
    "rubbish", "half" (a body that ends early), "other tokens", "echo" (a refusal that repeats the request's
    headers), or fields that stand in place of the answer's. `plain` servers have neither `/tokenize` nor
    log-probabilities, as a vendor's, and refuse the parameters in `refused`, as OpenAI's newer models do, or in
    FastAPI's form. `pages` answer what they hold instead, `busy` ones 429, and `refusal` is the answer to all else.
    `headers` are those of every request.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: HfModel, *, plain: bool = False, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.model = model
        self.plain = plain
        self.faults: list[Fault] = []
        self.pages: dict[str, object] = {}
        self.busy: set[str] = set()
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.root = "x/tiny-llama"
        self.refused: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers = 0
        self.lock = Lock()

    @property
    def url(self) -> str:
        """The address that a spec names."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no matter."""


class _Handler(BaseHTTPRequestHandler):
    server: Serving

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path in self.server.pages:
            return self._answer(self.server.pages[self.path])
        if self.path == "/v1/models":
            card = {"id": NAME, "object": "model", "created": 0, "owned_by": "tests"}
            told = {} if self.server.plain else {"max_model_len": self.server.model.window, "root": self.server.root}
            return self._answer({"object": "list", "data": [{**card, **told}]})
        if self.path == "/version" and not self.server.plain:
            return self._answer({"version": "0.0"})
        return self._refuse(404, "Not Found")

    def do_POST(self) -> None:
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        inner = self.server.model.tokenizer.inner
        if self.path in self.server.busy:
            return self._refuse(429, "busy")
        if self.path in self.server.pages:
            return self._answer(self.server.pages[self.path])
        if self.path in ("/tokenize", "/detokenize") and self.server.plain:
            return self._refuse(404, "Not Found")
        if self.path == "/tokenize" and "messages" in body:
            if not inner.chat_template:
                return self._refuse(400, "no chat template")
            turns = body["messages"]
            switches = body.get("chat_template_kwargs", {})
            text = inner.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **switches)
            return self._answer({"tokens": inner(text, add_special_tokens=False).input_ids})
        if self.path == "/tokenize":
            special = body.get("add_special_tokens", True)
            return self._answer({"tokens": inner(body["prompt"], add_special_tokens=special).input_ids})
        if self.path == "/detokenize":
            return self._answer({"prompt": inner.decode(body["tokens"])})
        self.server.requests.append(body)
        if self.server.refusal:
            status, told = self.server.refusal
            return self._send(status, json.dumps(told).encode(), "application/json")
        for name, form in self.server.refused.items():
            if body.get(name) is not None:
                return self._refuse_parameter(name, form)
        with self.server.lock:  # one computes at a time
            fault = self.server.faults.pop(0) if self.server.faults else None
            return self._faulty(fault, self._completion(body)) if fault else self._answer(self._completion(body))

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        self.server.answers += 1
        model = self.server.model
        chat = "messages" in body
        prompt = model.prompt_ids([body["messages"][0]["content"]], 0)[0].tolist() if chat else body["prompt"]
        limit = body.get("max_completion_tokens") or body["max_tokens"]
        sampling = Sampling(limit, stop=tuple(body.get("stop") or ()))
        ids = np.array(prompt, dtype=np.int32)
        [[written]] = write(model.network, [ids], sampling, model._ends(), model.tokenizer.decode)
        choice: dict[str, Any] = {"index": 0, "finish_reason": written.finish}
        choice |= {"message": {"role": "assistant", "content": written.text}} if chat else {"text": written.text}
        if body.get("prompt_logprobs") == 0 and not self.server.plain:
            with torch.inference_mode():
                logits = model.network(torch.tensor([prompt])).logits[0].double()
            told = logits.log_softmax(dim=1)
            choice["prompt_logprobs"] = [None] + [
                {str(token): {"logprob": float(told[at, token])}} for at, token in enumerate(prompt[1:])
            ]
        usage = {"prompt_tokens": len(prompt), "completion_tokens": written.completion_tokens, "total_tokens": 0}
        return {"id": "1", "object": "x", "created": 0, "model": NAME, "choices": [choice], "usage": usage}

    def _faulty(self, fault: Fault, told: dict[str, Any]) -> None:
        match fault:
            case int():
                return self._refuse(fault, "as asked")
            case dict():
                return self._answer({**told, **fault})
            case "echo":
                return self._refuse(400, f"a bad request: {self.server.headers[-1]}")
            case "hang":
                time.sleep(5)
            case "lost":
                self.close_connection = True
                self.connection.close()
                return None
            case "rubbish":
                return self._send(200, b"<html>busy</html>", "text/html")
            case "half":
                whole = json.dumps(told).encode()
                self._send(200, whole[:40], "application/json", length=len(whole))
                self.close_connection = True
                return None
            case "other tokens":
                told["choices"][0]["prompt_logprobs"] = [None] * len(told["choices"][0]["prompt_logprobs"])
                return self._answer(told)
        return self._answer(told)

    def _answer(self, told: object) -> None:
        self._send(200, json.dumps(told).encode(), "application/json")

    def _refuse(self, status: int, why: str) -> None:
        self._send(status, json.dumps({"error": {"message": why}}).encode(), "application/json")

    def _refuse_parameter(self, name: str, form: str) -> None:
        if form == "fastapi":  # names it in a list of what is wrong
            wrong = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
            return self._send(422, json.dumps({"detail": [wrong]}).encode(), "application/json")
        said = {"message": f"Unsupported: '{name}'.", "type": "invalid_request_error", "param": name, "code": form}
        return self._send(400, json.dumps({"error": said}).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(model: HfModel, *, plain: bool = False, port: int = 0) -> Iterator[Serving]:
    """A running server, stopped at the end; on a port of its own choice where none is given."""
    server = Serving(model, plain=plain, port=port)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
