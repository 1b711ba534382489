"""The namespaces of a private host, seen from outside: running programs in them, and telling processes apart.

Inside, processes are counted anew: what libvirt and QEMU call process 53 has another number out here. The kernel
keeps both (proc(5), /proc/PID/status, NSpid).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from labkit.host import HostError
from labkit.live.guardian import start_time
from labkit.live.private import programs

__all__ = ["Room", "end"]

PATIENCE = 20.0  # seconds for a program that only sets something
REMEDY = "'labkit doctor' shows what works in a private host here; the simulated host needs none of it."


@dataclass(frozen=True)
class Room:
    """One private host's namespaces.

    Parameters
    ----------
    first : int
        Their process 1, by its number outside.
    environment : dict
        What programs in there are told.
    born : str or None
        When process 1 started, by which it is told from another that gets its number later.
    """

    first: int
    environment: Mapping[str, str]
    born: str | None = None

    def _entering(self, command: Sequence[str | Path]) -> list[str]:
        # A number is given out again. What has it then is the computer's, and so is the network that it is in.
        if self.born is None or start_time(self.first) != self.born:
            raise HostError("The private host has ended.", "Open it anew: labkit.live(networks=True).")
        kinds = ["--net", "--mount", "--pid", "--ipc", "--uts"]
        if os.geteuid():
            kinds.insert(0, "--user")
        nsenter = programs.find("nsenter") or "nsenter"
        return [nsenter, "--target", str(self.first), *kinds, "--", *map(str, command)]

    def run(
        self, command: Sequence[str | Path], *, check: bool = True, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end; no shell takes part.

        Parameters
        ----------
        command : sequence of str
            The program and its arguments, as in ``["ip", "-br", "link"]``.
        check : bool
            Whether a failure is an error.
        timeout : float
            Seconds after which it is ended.

        Returns
        -------
        subprocess.CompletedProcess
            What it printed, and its status.

        Raises
        ------
        HostError
            Where it does not end in time; where it fails, with its last words; and where the host has ended.
        """
        program = self.start(command)
        try:
            output, errors = program.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{command[0]} did not end within {timeout:g} s.", "Try it again.") from error
        finally:
            end(program)
        if check and program.returncode:
            lines = [line for line in errors.splitlines() if line.strip()]
            said = lines[-1].strip().rstrip(".") if lines else f"exit code {program.returncode}"
            raise HostError(f"In the private host, {Path(command[0]).name} says: {said}.", REMEDY)
        return subprocess.CompletedProcess(list(map(str, command)), program.returncode, output, errors)

    def start(self, command: Sequence[str | Path]) -> subprocess.Popen[str]:
        """Start a program inside that goes on, such as tcpdump; what it prints can be read from its pipes.

        `end` ends it. What is forgotten ends with the private host.

        Raises
        ------
        HostError
            Where that has ended.
        """
        return subprocess.Popen(
            self._entering(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=dict(self.environment),
            start_new_session=True,  # Ctrl-C in a terminal is for the learner's program; `end` ends this one
        )

    def _numbers(self) -> Iterator[tuple[int, int]]:
        """The processes inside: the number outside, and the number inside."""
        mine = Path(f"/proc/{self.first}/ns/pid").stat().st_ino
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    if (entry / "ns" / "pid").stat().st_ino == mine:
                        yield int(entry.name), inside(entry / "status")

    def outside(self, number: int) -> int:
        """The number out here of a process inside.

        Raises
        ------
        HostError
            Where there is none.
        """
        for out, within in self._numbers():
            if within == number:
                return out
        raise HostError(f"There is no process {number} in the private host.", "It has ended.")

    def threads(self, process: int) -> dict[int, int]:
        """The threads of a process (by its number out here): for each its number inside, and the one out here."""
        found = {}
        for task in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError, ValueError):
                found[inside(task / "status")] = int(task.name)
        return found


def end(program: subprocess.Popen[str]) -> None:
    """End a program that `Room.start` started, if it still runs, and wait until it has.

    The signal goes to what runs inside, not to the nsenter before it, which then collects its child and ends too.
    Without it the child would be left to whoever adopts orphans here (`labkit.live.reaping`), and a namespace whose
    first process has ended waits for every one of its processes to be collected (pid_namespaces(7)).
    """
    for how in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is not None:
            return
        with contextlib.suppress(psutil.Error):
            door = psutil.Process(program.pid)
            for one in door.children(recursive=True) or [door]:
                with contextlib.suppress(psutil.Error):
                    one.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(5)
    program.kill()
    program.wait(5)


def inside(status: Path) -> int:
    """The number that a process or thread has in its own namespace, from its status file.

    Raises
    ------
    ValueError
        Where the file does not say it.
    """
    for line in status.read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    raise ValueError(f"{status} has no NSpid")
