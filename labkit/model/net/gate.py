"""Where a machine's cable meets the switch: its doorkeeper, its bucket, and the look at whose address it sends with.

What the machine sends passes the doorkeeper first and then waits for its coins, as with libvirt, whose filters sit
before the queue; what comes to it passes the doorkeeper and goes down the cable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simpy import Environment

from labkit.host.networks import Port, Rule
from labkit.model.net.bucket import Bucket
from labkit.model.net.doorkeeper import Doorkeeper
from labkit.model.net.frames import Arp, Frame, Packet
from labkit.model.net.outlet import Outlet
from labkit.model.net.stack import Stack, refusal
from labkit.model.net.switch import UNTAGGED, Socket, Switch
from labkit.model.net.tape import Tape

__all__ = ["Gate"]


class Gate:
    """A machine's cable in a switch, with its card at the other end.

    Parameters
    ----------
    env : simpy.Environment
        The clock.
    owner : str
        The machine's name.
    port : Port
        How the port is set; its address is filled in.
    mac : str
        The card's hardware address.
    switch : Switch
        What it is plugged into.
    rules : iterable of Rule
        Those of the network, which stand before the port's.
    stateful : bool
        Whether the doorkeeper has a book of conversations.
    numbers : iterator of int
        Gives each frame a number.
    tape : Tape
        What passes is written down there.
    """

    def __init__(
        self,
        env: Environment,
        owner: str,
        port: Port,
        mac: str,
        switch: Switch,
        rules: Iterable[Rule],
        stateful: bool,
        numbers: Iterator[int],
        tape: Tape,
    ) -> None:
        self._env = env
        self.owner = owner
        self.port = port
        self._switch = switch
        self._numbers = numbers
        self._tape = tape
        self._doorkeeper = Doorkeeper((*rules, *port.rules), stateful)
        self.socket = Socket(owner, self._out, port.vlan or UNTAGGED, frozenset(port.trunk))
        self._from_card = Outlet(env, self._inspect)
        self._to_switch = Outlet(env, lambda frame: switch.enter(self.socket, frame), port.shape)
        self._to_card = Outlet(env, self._arrive)
        self.stack = Stack(env, mac, port.address, port.trunk or (None,), self._sent, numbers)
        switch.plug(self.socket)

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """What holds the machine's sending back."""
        return self._to_switch.buckets

    @property
    def lost(self) -> int:
        """Frames that were lost for want of room in a queue."""
        return self._from_card.lost + self._to_switch.lost + self._to_card.lost

    def unplug(self) -> None:
        """Pull the cable out."""
        self._switch.unplug(self.socket)

    def _sent(self, frame: Frame) -> None:
        self._tape.sent(frame, self.owner, self._env.now)
        self._from_card.send(frame)

    def _inspect(self, frame: Frame) -> None:
        """Look at what the machine sends."""
        if not self.port.spoof and not self._own(frame):
            return
        action = self._doorkeeper.judge(frame.content, "out", self._env.now)
        if action == "accept":
            self._to_switch.send(frame)
        elif action == "reject" and isinstance(frame.content, Packet):
            self._to_card.send(self._refused(frame, frame.destination))

    def _own(self, frame: Frame) -> bool:
        """Whether a frame has no address but the machine's own (libvirt's no-mac-, no-ip- and no-arp-spoofing)."""
        content, stack = frame.content, self.stack
        if isinstance(content, Arp) and content.mac != stack.mac:
            return False
        address = content.sender if isinstance(content, Arp) else content.source
        return frame.source == stack.mac and address == stack.address

    def _out(self, frame: Frame) -> None:
        """Look at what comes to the machine."""
        action = self._doorkeeper.judge(frame.content, "in", self._env.now)
        if action == "accept":
            self._to_card.send(frame)
        elif action == "reject" and isinstance(frame.content, Packet):
            self._switch.enter(self.socket, self._refused(frame, self.stack.mac))

    def _refused(self, frame: Frame, source: str) -> Frame:
        assert isinstance(frame.content, Packet)
        told = Frame(next(self._numbers), source, frame.source, refusal(frame.content), frame.tag)
        self._tape.sent(told, self.owner, self._env.now)
        return told

    def _arrive(self, frame: Frame) -> None:
        self._tape.seen(frame, self.owner, self._env.now)
        self.stack.receive(frame)
