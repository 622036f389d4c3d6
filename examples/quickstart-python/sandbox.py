"""A sandbox over plain HTTP, with nothing but Python's standard library.

Two kinds of requests, both in E2B's format:

- The control plane, JSON over HTTP: which sandboxes there are. It wants the header X-API-Key.
- The data plane: what goes on in a sandbox. The headers E2b-Sandbox-Id and E2b-Sandbox-Port say whom a request is for,
  and X-Access-Token that it may. Port 49983 is envd, which has commands and files. Files are plain HTTP; commands are
  calls by Connect's protocol (https://connectrpc.com/docs/protocol), here with JSON: an answer that streams is a row of
  envelopes, each a byte of flags, four bytes of length, and the message.
"""

import base64
import json
import os
import struct
import urllib.error
import urllib.parse
import urllib.request

ENVD_PORT = "49983"
LAST_ENVELOPE = 0b10
REQUEST_SECONDS = 60


class ApiError(Exception):
    """What the server says is wrong, with the status of its answer."""

    def __init__(self, status, message):
        super().__init__(f"{message} (status {status})")
        self.status = status


class CommandFailed(Exception):
    """A command has ended with an exit code other than 0."""


def request(method, url, headers, body=None, timeout=REQUEST_SECONDS):
    """Sends one request and gives the answer, which has not been read yet."""
    asked = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        return urllib.request.urlopen(asked, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise ApiError(error.code, message_of(error.read())) from None


def message_of(body):
    """Errors are JSON with a message, in the control plane and in both halves of the data plane."""
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


class Api:
    """The control plane."""

    def __init__(self, api_url, sandbox_url, key):
        self.api_url, self.sandbox_url, self.key = api_url, sandbox_url, key

    @classmethod
    def from_environment(cls):
        """The variables of E2B's own clients."""
        api_url = os.environ["E2B_API_URL"]
        return cls(api_url, os.environ.get("E2B_SANDBOX_URL", api_url), os.environ.get("E2B_API_KEY", "e2b_0"))

    def call(self, method, path, body=None):
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with request(method, self.api_url + path, headers, data) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def create(self, template, timeout_s=300):
        """A new sandbox, which ends by itself after the time."""
        return Sandbox(self, self.call("POST", "/v2/sandboxes", {"templateID": template, "timeout": timeout_s}))


class Sandbox:
    """One sandbox: its life by the control plane, what goes on in it by the data plane."""

    def __init__(self, api, created):
        self.api, self.id, self.token = api, created["sandboxID"], created["envdAccessToken"]

    def info(self):
        return self.api.call("GET", f"/sandboxes/{self.id}")

    def pause(self):
        self.api.call("POST", f"/sandboxes/{self.id}/pause")

    def connect(self, timeout_s=300):
        """Resumes it if it is paused."""
        self.api.call("POST", f"/v2/sandboxes/{self.id}/connect", {"timeout": timeout_s})

    def fork(self, count, timeout_s=300):
        """New sandboxes that are in memory, processes and files what this one is now."""
        results = self.api.call("POST", f"/sandboxes/{self.id}/fork", {"count": count, "timeout": timeout_s})
        forks = [Sandbox(self.api, result["sandbox"]) for result in results if result.get("sandbox")]
        errors = [result["error"]["message"] for result in results if result.get("error")]
        return forks, errors

    def kill(self):
        self.api.call("DELETE", f"/sandboxes/{self.id}")

    def write(self, path, content):
        headers = self.headers("application/octet-stream")
        with request("POST", self.file_url(path), headers, content.encode()):
            pass

    def read(self, path):
        with request("GET", self.file_url(path), self.headers()) as answer:
            return answer.read().decode()

    def run(self, command):
        """Runs a shell command to its end, and gives what it wrote to standard output."""
        output = []
        for event in self.start(command):
            if "stdout" in event.get("data", {}):
                output.append(text_of(event))
            if "end" in event and event["end"].get("exitCode", 0) != 0:
                raise CommandFailed(f"{command}: {event['end']['status']}")
        return "".join(output)

    def start(self, command):
        """Starts a shell command and gives its events as they come: start, data, end. It runs on if nobody listens."""
        process = {"cmd": "/bin/bash", "args": ["-l", "-c", command]}
        return self.stream("process.Process/Start", {"process": process, "stdin": False})

    def listen(self, pid):
        """The events of a process that runs already, from now on."""
        return self.stream("process.Process/Connect", {"process": {"pid": pid}})

    def stream(self, method, message):
        """A call whose answer is a stream. Close the generator to stop listening."""
        data = json.dumps(message).encode()
        body = struct.pack(">BI", 0, len(data)) + data
        headers = {**self.headers("application/connect+json"), "Connect-Protocol-Version": "1"}
        with request("POST", f"{self.api.sandbox_url}/{method}", headers, body) as answer:
            while True:
                flags, length = struct.unpack(">BI", read_whole(answer, 5))
                message = json.loads(read_whole(answer, length))
                if flags & LAST_ENVELOPE:
                    if "error" in message:
                        raise ApiError(message["error"]["code"], message["error"].get("message", ""))
                    return
                # Now and then there is one that says nothing, so that the connection is not taken for dead.
                yield message["event"]

    def headers(self, content_type=None):
        headers = {"E2b-Sandbox-Id": self.id, "E2b-Sandbox-Port": ENVD_PORT, "X-Access-Token": self.token}
        return headers if content_type is None else {**headers, "Content-Type": content_type}

    def file_url(self, path):
        return f"{self.api.sandbox_url}/files?{urllib.parse.urlencode({'path': path})}"


def text_of(event):
    """Standard output of an event. Bytes are base64 in JSON."""
    return base64.b64decode(event["data"]["stdout"]).decode(errors="replace")


def read_whole(answer, length):
    data = answer.read(length)
    if len(data) < length:
        raise ConnectionError("the connection has ended in the middle of an answer")
    return data
