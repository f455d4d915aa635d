"""A separate process that sends by Apprise. Its only way out is the proxy of its parent.

It has nothing of the server: no database, no key. Each request that Apprise makes gets the pass of its work, follows no
redirect and uses none of the machine's settings. Every other way out is refused by Python's audit hook, which nothing
can take away again: other connections, name look-ups, listening, starting programs.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final

from shoal.concurrency.child_process import bound_memory, end_with_the_server, forbid_core_dumps
from shoal.notices.apprise_wire import MOST_LINE, POST, Reply, Request, Start, decode_request, decode_start, encode

THREADS: Final = 32
"""How many messages are sent at once; one that hangs delays no other."""
CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 15
MEMORY_BYTES: Final = 2 << 30
MOST_BODY: Final = 2_000
_LOOPBACK: Final = "127.0.0.1"
_CLASSES: Final = {
    "wecombot": ("wecombot", "NotifyWeComBot"),
    "bark": ("bark", "NotifyBark"),
    "barks": ("bark", "NotifyBark"),
    "pushplus": ("pushplus", "NotifyPushplus"),
    "schan": ("serverchan", "NotifyServerChan"),
    "wxpusher": ("wxpusher", "NotifyWxPusher"),
    "tgram": ("telegram", "NotifyTelegram"),
    "qq": ("qq", "NotifyQQ"),
    "ntfy": ("ntfy", "NotifyNtfy"),
    "ntfys": ("ntfy", "NotifyNtfy"),
    "gotify": ("gotify", "NotifyGotify"),
    "gotifys": ("gotify", "NotifyGotify"),
    "json": ("custom_json", "NotifyJSON"),
    "jsons": ("custom_json", "NotifyJSON"),
}
"""The modules and classes of Apprise that are loaded; it has 170 more, which no request reaches."""
_NEVER: Final = frozenset({
    "socket.bind", "socket.sendto", "socket.sendmsg", "socket.gethostbyname", "socket.gethostbyaddr",
    "socket.getnameinfo", "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.system", "pty.spawn", "syslog.openlog", "syslog.syslog", "ctypes.dlopen",
})  # fmt: skip

_work = threading.local()
"""The ``Reply`` and the proxy's address of the work that this thread does."""


def close_every_other_way(proxy_port: int) -> None:
    """Refuse every way out of this process except the proxy. This cannot be undone."""
    proxy = (_LOOPBACK, proxy_port)

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            allowed = isinstance(arguments[1], tuple) and arguments[1][:2] == proxy
        elif event == "socket.getaddrinfo":
            allowed = arguments[0] == _LOOPBACK
        else:
            allowed = event not in _NEVER
        if not allowed:
            raise PermissionError(f"{event} is not for this process")

    sys.addaudithook(check)


def bind_requests(authorities: str) -> None:
    """Let each HTTP request use its work's pass and report to its work how it went."""
    import requests  # noqa: PLC0415  only this process needs it
    from urllib3.connection import HTTPConnection  # noqa: PLC0415

    send, begin = requests.Session.request, HTTPConnection.request

    def bound(self: requests.Session, *arguments: Any, **options: Any) -> requests.Response:
        self.trust_env = False  # neither proxies nor passwords of the machine
        options |= {
            "proxies": {"http": _work.proxy, "https": _work.proxy},
            "allow_redirects": False,
            "verify": authorities or True,
            "stream": True,
        }
        answer = send(self, *arguments, **options)
        # A small answer may unpack to gigabytes: no more of it than this is ever in memory.
        vars(answer)["_content"] = answer.raw.read(4 * MOST_BODY, decode_content=True)
        answer.close()
        reply: Reply = _work.reply
        reply.status, reply.retry_after = answer.status_code, answer.headers.get("Retry-After", "")
        reply.body = answer.content.decode("utf-8", "replace")[:MOST_BODY]
        return answer

    def begun(self: HTTPConnection, *arguments: Any, **options: Any) -> None:
        _work.reply.began = True  # encryption is set up; the next bytes are the request
        begin(self, *arguments, **options)

    requests.Session.request = bound  # type: ignore[method-assign]
    HTTPConnection.request = begun  # type: ignore[method-assign]


def sent(request: Request, proxy_port: int) -> Reply:
    """Send one message, and return what became of it."""
    reply = _work.reply = Reply(id=request.id)
    _work.proxy = f"http://pass:{request.word}@{_LOOPBACK}:{proxy_port}"
    try:
        notify = _service(request.address)
        if not notify.notify(body=request.body, title=request.title, notify_type=request.kind) and not reply.status:
            reply.problem = "no_answer"
    except Exception as error:  # noqa: BLE001  a plugin may raise anything; the next message is not harmed
        reply.problem = type(error).__name__
    return reply


class _Post:
    """Posts a body that the server made, where Apprise has no such form of a service."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        self._url, self._body = url, body

    def notify(self, **_: str) -> bool:
        """Post it once."""
        import requests  # noqa: PLC0415

        requests.post(self._url, json=self._body, timeout=(CONNECT_SECONDS, READ_SECONDS))
        return True


def _service(address: dict[str, Any]) -> Any:
    from apprise import AppriseAsset  # noqa: PLC0415

    if address["schema"] == POST:
        return _Post(address["url"], address["body"])
    module, name = _CLASSES[address["schema"]]
    made = getattr(importlib.import_module(f"apprise.plugins.{module}"), name)
    asset = AppriseAsset(
        app_id="Shoal", app_desc="Shoal", app_url="", image_url_mask="", image_url_logo="", image_path_mask="",
        async_mode=False, secure_logging=True, http_redirects=False,
    )  # fmt: skip
    limits = {"cto": CONNECT_SECONDS, "rto": READ_SECONDS, "overflow": "truncate", "format": "text"}
    return made(asset=asset, **limits, **address)


class Answers:
    """The way back to the server, for threads."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._lock = threading.Lock()

    def write(self, reply: Reply) -> None:
        """Write one line."""
        with self._lock:
            self._sink.write(encode(reply) + b"\n")
            self._sink.flush()

    def write_of(self, request: Request, proxy_port: int) -> None:
        """Carry out a request and write its reply."""
        self.write(sent(request, proxy_port))


def main() -> None:
    """Send what comes in until the input ends."""
    end_with_the_server()
    forbid_core_dumps()
    source, answers = sys.stdin.buffer, Answers(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    start: Start = decode_start(source.readline(MOST_LINE))
    for module, _ in _CLASSES.values():  # before the first message, so that none waits for it
        importlib.import_module(f"apprise.plugins.{module}")
    bound_memory(MEMORY_BYTES)
    bind_requests(start.authorities)
    close_every_other_way(start.proxy_port)
    answers.write(Reply(id=0))
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="send")
    while line := source.readline(MOST_LINE):
        threads.submit(answers.write_of, decode_request(line), start.proxy_port)
    os._exit(0)  # the server has ended: what still hangs is not waited for


if __name__ == "__main__":
    main()
