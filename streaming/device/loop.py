"""The device process's loop: takes what workers ask for, runs it in batches, the most urgent first, and answers."""

import logging
import os
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.contract import Graph, GraphRequest
from engine.errors import DeviceError, OutOfDeviceMemory
from engine.runtime.signature import encode
from streaming.device.memory import Memory, fits
from streaming.device.messages import LANGUAGE, Ask, Beat, Message, Ready, Said, Serves, Stop
from streaming.language import BrokenMessage, Wire
from streaming.worker.batching import Answer, BatchQueue
from streaming.worker.studio import Clock

log = logging.getLogger(__name__)

BEAT_S: Final = 0.25
_PEER: Final = struct.Struct("3i")  # SO_PEERCRED: process, user, group


class Unserved(Exception):
    """A client that does not speak our language; its connection ends."""


class Client:
    """A worker's connection; it is served once its memory has come."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.wire: Wire[Message] | None = None
        self.memory: Memory | None = None

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def greet(self, serves: Serves) -> None:
        """Take the memory that is handed over, and say what can be asked for.

        Raises:
            Unserved: if none is handed over.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
            if not data or not descriptors:
                raise Unserved("no memory was handed over")
            self.memory = Memory(descriptors[0])
        except (OSError, ValueError) as error:
            raise Unserved(str(error)) from error
        self.wire = Wire(self.socket, LANGUAGE)
        self.wire.send(serves)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()
        if self.memory is not None:
            self.memory.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Asker:
    client: Client
    ask: Ask


class Loop:
    """Serves graphs to all who connect, until told to stop or left alone by the server.

    Args:
        wire: to the server.
        listener: where workers connect.
        graphs: what is served; or why nothing is.
        clock: of this machine.
    """

    def __init__(
        self, wire: Wire[Message], listener: socket.socket, graphs: Mapping[str, Graph] | Exception, clock: Clock
    ) -> None:
        self._wire = wire
        self._listener = listener
        self._listener.setblocking(False)
        self._graphs = () if isinstance(graphs, Exception) else tuple(g for g in graphs.values() if fits(g.spec))
        self._serves = Serves(tuple(encode(graph.spec) for graph in self._graphs), *_named(graphs))
        self._clock = clock
        self._queue = BatchQueue[_Asker](clock)
        self._clients: list[Client] = []
        self._beat_at = clock()
        self.stopping = False

    def run(self) -> None:
        """Serve.

        Raises:
            DeviceError: if the device fails; another process has to take over.
        """
        self._wire.send(Ready())
        try:
            while self._wire.open and not self.stopping:
                self._wait()
                self._read()
                for answer in self._queue.answers():
                    self._tell(answer)
                self._beat()
        finally:
            for client in self._clients:
                client.close()

    def _beat(self) -> None:
        if self._clock() >= self._beat_at:
            self._beat_at = self._clock() + BEAT_S
            self._wire.send(Beat())

    def _wait(self) -> None:
        pause = 0.0 if self._queue else max(0.0, self._beat_at - self._clock())
        wires = [self._wire, *(client.wire for client in self._clients if client.wire is not None)]
        _, writable, _ = select.select([self._wire, self._listener, *self._clients], [w for w in wires if w.waiting], [], pause)
        for wire in writable:
            wire.flush()

    def _read(self) -> None:
        for message in self._wire.receive():
            self.stopping |= isinstance(message, Stop)
        self._accept()
        for client in list(self._clients):
            try:
                self._hear(client)
            except (BrokenMessage, Unserved, ValueError, IndexError) as error:
                log.warning("a worker's connection is given up (%s)", error)
                self._drop(client)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        _, user, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if user == os.getuid():
            self._clients.append(Client(sock))
        else:
            sock.close()

    def _hear(self, client: Client) -> None:
        if client.wire is None or client.memory is None:
            if select.select([client], [], [], 0)[0]:
                client.greet(self._serves)
            return
        for message in client.wire.receive():
            if isinstance(message, Ask):
                graph = self._graphs[message.graph]
                inputs = client.memory.inputs(message.place, graph.spec)
                self._queue.submit(_Asker(client, message), GraphRequest(graph, inputs), message.deadline)
        if not client.wire.open:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        client.close()

    def _tell(self, answer: Answer[_Asker]) -> None:
        client, ask, said = answer.asker.client, answer.asker.ask, answer.said
        if isinstance(said, DeviceError) and not isinstance(said, OutOfDeviceMemory):
            raise said
        if client not in self._clients or client.wire is None or client.memory is None:
            return  # it has gone meanwhile
        if isinstance(said, Exception):
            client.wire.send(Said(ask.ticket, answer.cost_s, *_named(said)))
            return
        for name, value in client.memory.outputs(ask.place, answer.request.graph.spec).items():
            np.copyto(value, said[name])
        client.wire.send(Said(ask.ticket, answer.cost_s))


def _named(error: object) -> tuple[str, str]:
    """Name and line of an error; empty for what is none."""
    return (type(error).__name__, " ".join(str(error).split())) if isinstance(error, Exception) else ("", "")
