"""Six ways to put a hypervisor between machines and hardware: what lies on what, who schedules, which way a write goes.

Each is a wall of boxes, as a child would build it: the hardware is the floor, and who stands on whom can ask only that
one. Nothing here is drawn; `labkit.views.stackdrawing` does that.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STACKS", "Box", "Move", "Stack"]

_SPLIT = 7.4  # of 12 columns: left of it the host's things, right of it the guests


@dataclass(frozen=True)
class Box:
    """One layer, or a part of one.

    Parameters
    ----------
    key : str
        What moves refer to it by.
    lines : tuple of str
        What is written in it.
    kind : {"hardware", "system", "hypervisor", "program", "guest"}
        What it is; it decides the colour.
    row : int
        How high it stands; the hardware's is 0.
    left, right : float
        From where to where it goes, in twelfths of the width.
    """

    key: str
    lines: tuple[str, ...]
    kind: str
    row: int
    left: float
    right: float


@dataclass(frozen=True)
class Move:
    """One step of a disk write: into a box, by a crossing.

    Parameters
    ----------
    to : str
        The box.
    by : str
        What kind of crossing it is.
    words : str
        What happens, in a sentence.
    """

    to: str
    by: str
    words: str


@dataclass(frozen=True)
class Stack:
    """One way to build it.

    Parameters
    ----------
    key, name : str
        For programs, and for people.
    says : str
        What is special about it, in a sentence or two.
    boxes : tuple of Box
        From the floor up.
    scheduler : str
        The box whose scheduler decides which guest runs on a CPU.
    schedules : str
        That in a sentence.
    moves : tuple of Move
        The way of one disk write down to the hardware; the first is where it begins.
    sources : str
        Where it was read.
    place : str
        Which place of the experiment `overhead` the simulated host has for it; empty where it has none.
    """

    key: str
    name: str
    says: str
    boxes: tuple[Box, ...]
    scheduler: str
    schedules: str
    moves: tuple[Move, ...]
    sources: str
    place: str = ""

    def box(self, key: str) -> Box:
        """The box of that key."""
        return next(box for box in self.boxes if box.key == key)

    @property
    def crossings(self) -> int:
        """How often the write passes from one box into another."""
        return len(self.moves) - 1

    @property
    def layers_touched(self) -> int:
        """How many different boxes take part."""
        return len({move.to for move in self.moves})


def _guests(row: int) -> tuple[Box, ...]:
    """Two guests side by side on the right, each a kernel with a program on it."""
    middle = (_SPLIT + 12) / 2
    places = ((_SPLIT, middle), (middle, 12.0))
    kernels = [Box(f"g{n}", (f"guest {n}", "its kernel"), "guest", row, *places[n - 1]) for n in (1, 2)]
    programs = [Box(f"p{n}", ("program",), "guest", row + 1, *places[n - 1]) for n in (1, 2)]
    return (*kernels, *programs)


_HARDWARE = Box("hardware", ("hardware: CPUs, memory, disk",), "hardware", 0, 0, 12)
_BEGIN = Move("p1", "", "A program in guest 1 wants 4 KiB written to disk.")
_ASK = Move(
    "g1", "system call", "It asks its own kernel. That is a system call inside the guest: nobody outside notices."
)
_EXIT = "The kernel knocks at a disk that is not real. The processor leaves the guest: an exit."

STACKS = (
    Stack(
        "type-1",
        "Type 1",
        "The hypervisor stands on the hardware. It has its own scheduler and its own drivers, and there is no other "
        "system beneath it. Drawn after VMware ESXi.",
        (
            _HARDWARE,
            Box(
                "hypervisor", ("the hypervisor, a kernel of its own:", "scheduler, disk driver"), "hypervisor", 1, 0, 12
            ),
            Box("g1", ("guest 1", "its kernel"), "guest", 2, 0, 6),
            Box("g2", ("guest 2", "its kernel"), "guest", 2, 6, 12),
            Box("p1", ("program",), "guest", 3, 0, 6),
            Box("p2", ("program",), "guest", 3, 6, 12),
        ),
        "hypervisor",
        "The hypervisor's own scheduler decides whose vCPU runs. All that want a CPU are vCPUs, and its own few "
        "threads.",
        (
            _BEGIN,
            _ASK,
            Move("hypervisor", "exit", f"{_EXIT} The hypervisor's virtual disk takes the request."),
            Move("hardware", "driver", "The hypervisor's own driver tells the real disk."),
        ),
        "VMware, vSphere Resource Management, “Memory Virtualization Basics”; vSphere Storage, the section on how "
        "virtual machines access data on a SAN",
        "guest",
    ),
    Stack(
        "type-2",
        "Type 2",
        "The hypervisor is a program on an ordinary system, beside the mail program; a small part of it, the "
        "monitor, runs guests while the host's system stands back. Drawn after VMware Workstation of 2001.",
        (
            _HARDWARE,
            Box("system", ("the host's system:", "scheduler, disk driver"), "system", 1, 0, _SPLIT),
            Box("monitor", ("hypervisor:", "its monitor"), "hypervisor", 1, _SPLIT, 12),
            Box("mail", ("mail", "program"), "program", 2, 0, 2.8),
            Box("app", ("hypervisor:", "its program"), "hypervisor", 2, 2.8, _SPLIT),
            *_guests(2),
        ),
        "system",
        "The host's system decides: to its scheduler a guest is one more program, beside the mail program.",
        (
            _BEGIN,
            _ASK,
            Move("monitor", "exit", f"{_EXIT} The monitor sees what was meant, but has no disk driver."),
            Move("system", "world switch", "The whole CPU changes over to the host's world: a world switch."),
            Move("app", "return", "The hypervisor's program wakes up, an ordinary program of the host."),
            Move("system", "system call", "It asks the host's system to write to a file: a system call."),
            Move("hardware", "driver", "The host's driver tells the real disk."),
        ),
        "J. Sugerman, G. Venkitachalam, B.-H. Lim, “Virtualizing I/O devices on VMware Workstation's hosted virtual "
        "machine monitor”, USENIX 2001, section 2",
        "hosted",
    ),
    Stack(
        "kvm",
        "KVM",
        "Linux itself becomes the hypervisor, by a part of its kernel named KVM; and each guest is a process, "
        "QEMU, beside other programs. Some call that type 1, others type 2.",
        (
            _HARDWARE,
            Box("system", ("Linux:", "scheduler, disk driver"), "system", 1, 0, _SPLIT),
            Box("kvm", ("KVM,", "a part of Linux"), "hypervisor", 1, _SPLIT, 12),
            Box("other", ("other", "program"), "program", 2, 0, 2.8),
            Box("qemu", ("QEMU, one process", "for each guest"), "hypervisor", 2, 2.8, _SPLIT),
            *_guests(2),
        ),
        "system",
        "Linux decides: a vCPU is a thread of QEMU's, in the same queue as every other thread.",
        (
            _BEGIN,
            _ASK,
            Move("kvm", "exit", f"{_EXIT} KVM sees which device was meant."),
            Move("qemu", "wake-up", "KVM wakes QEMU, whose virtual disk takes the request."),
            Move("system", "system call", "QEMU asks Linux to write to a file: a system call."),
            Move("hardware", "driver", "Linux's driver tells the real disk."),
        ),
        "libvirt, “QEMU/KVM/HVF hypervisor driver”; Linux kernel documentation, “The Definitive KVM API Documentation”",
        "guest",
    ),
    Stack(
        "hyper-v",
        "Hyper-V",
        "The hypervisor stands on the hardware, and so it is called type 1. But the drivers are Windows', and "
        "Windows runs in a partition beside the guests: the parent, or root, partition.",
        (
            _HARDWARE,
            Box("hypervisor", ("the hypervisor: scheduler",), "hypervisor", 1, 0, 12),
            Box("parent", ("parent partition:", "Windows, disk driver"), "system", 2, 0, _SPLIT),
            Box("tools", ("programs",), "program", 3, 0, _SPLIT),
            *_guests(2),
        ),
        "hypervisor",
        "On a server the hypervisor decides, also over Windows. On a desktop it leaves that to "
        "Windows' own scheduler, the root scheduler.",
        (
            _BEGIN,
            _ASK,
            Move(
                "hypervisor",
                "hypercall",
                "The kernel knows that it is a guest. It lays the request into memory that it shares with "
                "Windows, the VMBus, and has the hypervisor ring the bell, unless Windows is looking there "
                "already.",
            ),
            Move("parent", "interrupt", "Windows, in the parent partition, takes the request for the guest."),
            Move("hardware", "driver", "Windows' driver tells the real disk."),
        ),
        "Microsoft Learn, “Hypervisor Top-Level Functional Specification”, glossary; “Manage Hyper-V hypervisor "
        "scheduler types”",
    ),
    Stack(
        "macos",
        "macOS",
        "macOS brings the hypervisor along: the Hypervisor framework. A program needs no part of its own in the "
        "kernel any more; to macOS a machine is a process, and a vCPU is a thread.",
        (
            _HARDWARE,
            Box("system", ("macOS:", "scheduler, disk driver"), "system", 1, 0, _SPLIT),
            Box("framework", ("hypervisor,", "a part of macOS"), "hypervisor", 1, _SPLIT, 12),
            Box("mail", ("mail", "program"), "program", 2, 0, 2.8),
            Box("app", ("QEMU, one process", "for each guest"), "hypervisor", 2, 2.8, _SPLIT),
            *_guests(2),
        ),
        "system",
        "macOS decides: a vCPU is a thread of the program's.",
        (
            _BEGIN,
            _ASK,
            Move("framework", "exit", f"{_EXIT} macOS' hypervisor sees that this is not for it."),
            Move("app", "return", "It goes back to the program, whose virtual disk takes the request."),
            Move("system", "system call", "The program asks macOS to write to a file: a system call."),
            Move("hardware", "driver", "macOS' driver tells the real disk."),
        ),
        "Apple Developer, “Hypervisor”",
    ),
    Stack(
        "windows",
        "Windows",
        "Windows brings the hypervisor along too: with the Windows Hypervisor Platform a program on the desktop "
        "makes guests beside Windows, not on it. The program is type 2, and what it asks is type 1.",
        (
            _HARDWARE,
            Box("hypervisor", ("the hypervisor",), "hypervisor", 1, 0, 12),
            Box("parent", ("parent partition, Windows:", "scheduler, disk driver"), "system", 2, 0, _SPLIT),
            Box("mail", ("mail", "program"), "program", 3, 0, 2.8),
            Box("app", ("QEMU, one process", "for each guest"), "hypervisor", 3, 2.8, _SPLIT),
            *_guests(2),
        ),
        "parent",
        "On a desktop Windows decides, by its own scheduler: the hypervisor leaves that to it (the root scheduler).",
        (
            _BEGIN,
            _ASK,
            Move("hypervisor", "exit", f"{_EXIT} The hypervisor sees that this is not for it."),
            Move("parent", "message", "It tells Windows, in the parent partition."),
            Move("app", "return", "Windows goes back to the program, whose virtual disk takes the request."),
            Move("parent", "system call", "The program asks Windows to write to a file: a system call."),
            Move("hardware", "driver", "Windows' driver tells the real disk."),
        ),
        "Microsoft Learn, “Windows Hypervisor Platform”; “Manage Hyper-V hypervisor scheduler types”",
    ),
)
"""The six: two that are clear, and four that are not."""
