"""A proxy of bytes between an agent and a docker engine, which fails in the ways that real ones do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK = 65536


class Connection:
    """One client of the proxy and its way to the engine. `silent`: what comes is swallowed; `held`: what the engine says waits."""

    def __init__(self, client: socket.socket, engine: socket.socket) -> None:
        self.client = client
        self.engine = engine
        self.silent = False
        self.held = False
        self.waiting = b""

    def cut(self) -> None:
        for end in (self.client, self.engine):
            with suppress(OSError):  # It is cut already, by one of its ends.
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Listens beside the engine's socket, or with `tcp` on a port of 127.0.0.1; `host` is how to name it to a docker client."""

    def __init__(self, engine: Path, path: Path | None = None) -> None:
        self._to = str(engine)
        self._path = path
        self._lock = threading.Condition()
        self._connections: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._silent = False
        self._hold: bytes | None = None
        self._left: int | None = None
        self._port = 0
        self.accepted = 0
        """How many connections there were."""
        self._listener: socket.socket
        self.accept()

    @property
    def host(self) -> str:
        return f"unix://{self._path}" if self._path else f"tcp://127.0.0.1:{self._port}"

    def cut(self) -> int:
        """Ends every connection; new ones are served. How many there were."""
        with self._lock:
            cut, self._connections = self._connections, []
        for connection in cut:
            connection.cut()
        return len(cut)

    def cut_after(self, count: int) -> None:
        """Ends every connection when the engine has said so many bytes more, wherever that is in the middle of."""
        with self._lock:
            self._left = count

    @property
    def cutting(self) -> bool:
        """Whether that is still to come."""
        with self._lock:
            return self._left is not None

    def refuse(self) -> None:
        """Serves no new connection: they are refused."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()

    def accept(self) -> None:
        """Serves new connections (again)."""
        if self._path:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
        else:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
        self._listener.listen(64)
        self._accepting = threading.Thread(target=self._serve, args=(self._listener,))
        self._accepting.start()

    def silence(self, *, new: bool = True) -> None:
        """Swallows all that is said from now on, and closes nothing. Without `new`, on the connections that are there only."""
        with self._lock:
            self._silent = new
            for connection in self._connections:
                connection.silent |= not connection.held

    def resume(self) -> None:
        """Serves new connections properly. Those that were silent stay so: what was swallowed does not come again."""
        with self._lock:
            self._silent = False

    def hold(self, asked: bytes) -> None:
        """Holds what the engine says on a connection back, from the moment that the client's words there contain `asked`."""
        with self._lock:
            self._hold = asked

    @property
    def holding(self) -> bool:
        """Whether something is held back."""
        with self._lock:
            return any(connection.waiting for connection in self._connections)

    def release(self) -> None:
        """Says what was held back."""
        with self._lock:
            self._hold = None
            for connection in self._connections:
                connection.held = False
                connection.client.sendall(connection.waiting)
                connection.waiting = b""

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self.refuse()
        self.cut()
        for thread in self._threads:
            thread.join()
        if self._path:
            self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # refuse() was called.
            engine = socket.socket(socket.AF_UNIX)
            try:
                engine.connect(self._to)
            except OSError:  # There is no engine: as proxies do, accept and close.
                client.close()
                engine.close()
                continue
            connection = Connection(client, engine)
            with self._lock:
                self.accepted += 1
                connection.silent = self._silent
                self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._carry, args=(connection,)))
            self._threads[-1].start()

    def _carry(self, connection: Connection) -> None:
        back = threading.Thread(target=self._pump, args=(connection, connection.engine, connection.client))
        back.start()
        self._pump(connection, connection.client, connection.engine)
        back.join()
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)
        connection.client.close()
        connection.engine.close()

    def _pump(self, connection: Connection, source: socket.socket, to: socket.socket) -> None:
        with suppress(ConnectionError):  # One end is gone, and then the other goes.
            while said := source.recv(CHUNK):
                with self._lock:
                    if connection.silent:
                        continue
                    if source is connection.client:
                        connection.held |= self._hold is not None and self._hold in said
                    elif connection.held:
                        connection.waiting += said
                        continue
                    elif self._left is not None:
                        said = said[: self._left]
                        self._left -= len(said)
                to.sendall(said)
                self._cut_when_due()
        # An engine's end is seen by a client only where somebody tells of it.
        if source is connection.client or not connection.silent:
            connection.cut()

    def _cut_when_due(self) -> None:
        with self._lock:
            if self._left != 0:
                return
            self._left = None
        self.cut()
