"""A small client of Mozilla's Marionette: it runs scripts inside a Thunderbird that was started with `--marionette`.

The protocol is `LENGTH:JSON` over TCP, commands `[0, id, name, parameters]`, answers `[1, id, error, value]`
(https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html).
"""

import json
import socket
from typing import Any, Self

TIMEOUT_S = 60.0


class MarionetteError(Exception):
    """What the script, or Marionette itself, says went wrong."""


class Marionette:
    """One session; a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._read()  # its greeting
        self._ask("WebDriver:NewSession", {})
        self._ask("Marionette:SetContext", {"value": "chrome"})
        self._ask("WebDriver:SetTimeouts", {"script": int(TIMEOUT_S * 1000)})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a function body with the rights of Thunderbird itself; it may await. Returns what it returns."""
        wrapped = f"""
            const done = arguments[arguments.length - 1];
            const given = Array.from(arguments).slice(0, -1);
            (async () => {{ {script} }})().then(
                value => done({{value: value ?? null}}), error => done({{error: String(error)}}));
        """
        answer = self._ask("WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(arguments)})
        told = answer["value"]
        if told is None:  # a dialog has opened and waits for somebody
            raise MarionetteError(str(self._ask("WebDriver:GetAlertText", {})["value"]))
        if "error" in told:
            raise MarionetteError(told["error"])
        return told.get("value")

    def screenshot(self) -> str:
        """The window as a PNG in base64."""
        return str(self._ask("WebDriver:TakeScreenshot", {"full": True})["value"])

    def quit(self) -> None:
        self._ask("Marionette:Quit", {"flags": ["eForceQuit"]})

    def _ask(self, name: str, parameters: dict[str, object]) -> dict[str, Any]:
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(text), text))
        _, _, error, value = self._read()
        if error:
            raise MarionetteError(f"{name}: {error['error']}: {error['message']}")
        return value if isinstance(value, dict) else {"value": value}

    def _read(self) -> Any:
        digits = b""
        while (octet := self._file.read(1)) != b":":
            if not octet:
                raise MarionetteError("Thunderbird has gone")
            digits += octet
        return json.loads(self._file.read(int(digits)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()
