"""Talking to the program inside a guest that does what its host asks: QEMU's guest agent.

The commands are those of the QEMU Guest Agent Protocol Reference; they travel over a virtio serial port, so the
guest needs no network for them.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.host import HostError
from labkit.live.errors import translated

if TYPE_CHECKING:
    import libvirt

__all__ = ["Agent", "Finished"]

PATIENCE = 60  # seconds for one answer; a guest of small shares on a busy CPU is slow, not dead


@dataclass(frozen=True)
class Finished:
    """A command that ended in a guest: its exit status and what it printed."""

    status: int
    output: str
    errors: str

    def __repr__(self) -> str:
        text = self.output.rstrip("\n") or "(printed nothing)"
        return text if self.status == 0 else f"{text}\n(ended with status {self.status}) {self.errors}".rstrip()


def _interruptible(domain: libvirt.virDomain, request: str) -> str:
    """Ask the agent, in a thread aside where this is the main one: Python hears Ctrl-C only between two calls into C.

    An abandoned call ends with its machine, or after `PATIENCE` seconds.
    """
    import libvirt_qemu

    if threading.current_thread() is not threading.main_thread():
        return libvirt_qemu.qemuAgentCommand(domain, request, PATIENCE, 0)
    answer: Future[str] = Future()

    def ask() -> None:
        try:
            answer.set_result(libvirt_qemu.qemuAgentCommand(domain, request, PATIENCE, 0))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=ask, name="labkit-agent", daemon=True).start()
    return answer.result()


class Agent:
    """The agent in one machine.

    Parameters
    ----------
    domain : libvirt.virDomain
        The running machine.
    name : str
        Its name, for messages.
    """

    def __init__(self, domain: libvirt.virDomain, name: str) -> None:
        self._domain = domain
        self._name = name

    def call(self, command: str, **arguments: Any) -> Any:
        """Send one command of the protocol and return its answer.

        An interrupt is heard at once, also by an agent that never answers; its machine is then best stopped.

        Raises
        ------
        HostError
            Where the agent does not answer or refuses.
        """
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        with translated(f"ask the agent in {self._name}", self._domain):
            return json.loads(_interruptible(self._domain, json.dumps(request)))["return"]

    def wait_until_up(self, deadline: float, progress: Callable[[float], None] = lambda _done: None) -> None:
        """Return when the agent answers; `deadline` in seconds from now.

        Raises
        ------
        HostError
            Where the machine ended, or the time is over.
        """
        import libvirt
        import libvirt_qemu

        started = time.monotonic()
        while (waited := time.monotonic() - started) < deadline:
            try:
                libvirt_qemu.qemuAgentCommand(self._domain, '{"execute": "guest-ping"}', 2, 0)
                return
            except libvirt.libvirtError as error:
                if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
                    raise HostError(f"{self._name} ended before it was up.", "Look at machine.console().") from error
            progress(min(waited / deadline, 1.0))
            time.sleep(0.01)
        raise HostError(f"{self._name} was not up after {deadline:.0f} s.", "Look at machine.console(), or try again.")

    def start(self, command: Sequence[str], *, capture: bool = False) -> int:
        """Start a program in the guest and return its process number there."""
        request = {"path": command[0], "arg": list(command[1:]), "capture-output": capture}
        return self.call("guest-exec", **request)["pid"]

    def finished(self, process: int) -> Finished | None:
        """How a program ended, or None while it runs."""
        answer = self.call("guest-exec-status", pid=process)
        if not answer["exited"]:
            return None
        text = {
            part: base64.b64decode(answer.get(part, "")).decode(errors="replace") for part in ("out-data", "err-data")
        }
        return Finished(answer.get("exitcode", -answer.get("signal", 1)), text["out-data"], text["err-data"])

    def run(self, command: Sequence[str], timeout: float = 60.0) -> Finished:
        """Run a program in the guest to its end, for `timeout` seconds at most.

        Raises
        ------
        HostError
            Where it does not end in time; it is then killed.
        """
        process = self.start(command, capture=True)
        ends, pause = time.monotonic() + timeout, 0.005
        while time.monotonic() < ends:
            if finished := self.finished(process):
                return finished
            time.sleep(pause)
            pause = min(2 * pause, 0.2)
        self.start(["/bin/kill", "-9", str(process)])
        raise HostError(f"{command[0]} in {self._name} did not end within {timeout:g} s.", "Give it more time.")
