"""What `make up` shows: each step as it ends, then one screen that says how to get in. Chinese when LANG says so.

On a terminal a spinner names what is being waited for; elsewhere there are plain lines. A terminal that has gone away
is no reason to stop.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from deploy.local.endpoints import Login
from deploy.local.installation import HOST

_CHINESE = {
    "certificates": "证书",
    "PostgreSQL": "PostgreSQL",
    "tables": "数据表",
    "demo people and mail": "演示账号和邮件",
    "object storage (S3)": "对象存储（S3）",
    "Redis": "Redis",
    "doors": "各服务端口",
    "old processes": "上次的进程",
    "stopping roles": "正在停止各服务",
    "stopping Redis and S3": "正在停止 Redis 和 S3",
    "stopping PostgreSQL": "正在停止 PostgreSQL",
    "waiting for": "等待",
    "Waypost is running": "Waypost 已启动",
    "Waypost has stopped": "Waypost 已停止",
    "Receiving": "收信",
    "Sending": "发信",
    "Arriving": "来信",
    "Browser": "浏览器",
    "Metrics": "监控指标",
    "Logins": "登录账号",
    "CA certificate": "CA 证书",
    "Data and logs": "数据与日志",
    "To try": "试一试",
    "Stop with Ctrl-C or make down; the data stay. make reset deletes them.": (
        "按 Ctrl-C 或执行 make down 停止，数据会保留；make reset 删除数据。"
    ),
}


@dataclass(frozen=True, slots=True)
class Running:
    """What the last screen tells."""

    doors: Mapping[str, int]
    ca: Path
    var: Path
    logins: Sequence[Login]
    seconds: float


def language_of(environment: Mapping[str, str]) -> str:
    """`zh` or `en`, as the locale variables say (locale(7): LC_ALL, then LC_MESSAGES, then LANG)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name, ""):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


class Screen:
    def __init__(self, language: str, console: Console | None = None) -> None:
        self._language = language
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._waiting: list[str] = []
        self._status: Status | None = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that `name` is being worked on, and how long it took when it is done."""
        started = time.monotonic()
        self._waiting.append(name)
        self._show_waiting()
        try:
            yield
        except BaseException:
            self._waiting.remove(name)
            self._show_waiting()
            raise
        self._waiting.remove(name)
        self._print(
            Text.assemble(("✓ ", "green"), f"{self._say(name)}  ", (f"{time.monotonic() - started:.1f} s", "dim"))
        )
        self._show_waiting()

    def tell(self, text: str) -> None:
        """One line about something that happened."""
        self._print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), text))

    def failed(self, text: str) -> None:
        self._stop_waiting()
        self._print(Text(text, "red"))

    def stopped(self) -> None:
        self._stop_waiting()
        self._print(Text(self._say("Waypost has stopped")))

    def running(self, what: Running) -> None:
        self._stop_waiting()
        for line in self._last_screen(what):
            self._print(line)

    def _last_screen(self, what: Running) -> Iterator[Text | Table | str]:
        port = what.doors
        yield ""
        yield Text(f"{self._say('Waypost is running')}  ({what.seconds:.1f} s)", "bold")
        table = Table.grid(padding=(0, 2))
        for label, value in (
            ("Receiving", f"IMAP {HOST}:{port['imap']} STARTTLS, {HOST}:{port['imaps']} TLS"),
            ("", f"POP3 {HOST}:{port['pop3']} STLS, {HOST}:{port['pop3s']} TLS"),
            ("Sending", f"SMTP {HOST}:{port['submission']} STARTTLS, {HOST}:{port['submissions']} TLS"),
            ("Arriving", f"SMTP {HOST}:{port['smtp']}, LMTP {HOST}:{port['lmtp']}"),
            ("Browser", f"http://{HOST}:{port['http']}/"),
            ("Metrics", f"http://{HOST}:{port['metrics']}/metrics"),
            ("CA certificate", str(what.ca)),
            ("Data and logs", f"{what.var}, {what.var / 'log'}"),
        ):
            table.add_row(Text(self._say(label) if label else "", "cyan"), Text(value))
        for number, login in enumerate(what.logins):
            label = self._say("Logins") if number == 0 else ""
            table.add_row(Text(label, "cyan"), Text(f"{login.address}  {login.password}"))
        yield table
        yield ""
        yield Text(self._say("To try"), "cyan")
        for line in lines_to_try(what):
            yield Text("  " + line)
        yield ""
        yield Text(self._say("Stop with Ctrl-C or make down; the data stay. make reset deletes them."), "dim")

    def _say(self, text: str) -> str:
        return _CHINESE[text] if self._language == "zh" else text

    def _show_waiting(self) -> None:
        if not self._console.is_terminal:
            return
        if not self._waiting:
            self._stop_waiting()
            return
        names = ", ".join(self._say(name) for name in self._waiting)
        text = f"{self._say('waiting for')} {names}"
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _stop_waiting(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _print(self, what: Text | Table | str) -> None:
        with contextlib.suppress(OSError):
            self._console.print(what)


def lines_to_try(what: Running) -> list[str]:
    """Three commands that work as they stand, from another terminal."""
    reader = next((login for login in what.logins if not login.address.startswith("admin@")), None)
    if reader is None:
        return []
    writer = next((login for login in reversed(what.logins) if login != reader), reader)
    return [
        f"swaks --server {HOST}:{what.doors['submission']} -tls --auth-user {writer.address}"
        f" --auth-password '{writer.password}' --from {writer.address} --to {reader.address}"
        " --header 'Subject: 你好 hello'",
        f"curl --cacert {what.ca} --user '{reader.address}:{reader.password}'"
        f" 'imaps://localhost:{what.doors['imaps']}/INBOX;MAILINDEX=*'",
        f"openssl s_client -quiet -CAfile {what.ca} -connect localhost:{what.doors['imaps']}",
    ]
