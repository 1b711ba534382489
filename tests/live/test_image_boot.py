"""The guest's image boots on plain QEMU, with nothing of labkit's between, and does what the course asks of it."""

import base64
import contextlib
import hashlib
import json
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from labkit.live import image
from labkit.live.image_files import Tree

pytestmark = [pytest.mark.live, pytest.mark.timeless]


class Guest:
    """A guest on plain QEMU, with nothing of labkit's between."""

    def __init__(self, place: Path, memory: int, vcpus: int, disk: bytes) -> None:
        found = image.load()
        (place / "disk").write_bytes(disk)
        self.lines: list[str] = []
        command = f"""
            qemu-system-x86_64 -accel tcg -machine q35 -m {memory} -smp {vcpus}
            -kernel {found.kernel} -initrd {found.initrd}
            -nodefaults -no-user-config -display none -no-reboot -serial stdio
            -monitor unix:{place}/monitor,server=on,wait=off
            -device virtio-serial-pci -chardev socket,id=agent,path={place}/agent,server=on,wait=off
            -device virtserialport,chardev=agent,name=org.qemu.guest_agent.0
            -drive file={found.tools},if=none,id=tools,format=raw,readonly=on
            -device virtio-blk-pci,drive=tools,serial=tools
            -drive file={place}/disk,if=none,id=other,format=raw,readonly=on
            -device virtio-blk-pci,drive=other,serial=other
            -netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,romfile=
            -device virtio-balloon-pci -device virtio-rng-pci
        """.split()
        command += ["-append", f"{found.cmdline} labkit.name=plain"]
        self.qemu = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, errors="replace")
        threading.Thread(target=self._read, daemon=True).start()
        self.monitor, self.socket = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.until(lambda: (place / "agent").exists() and (place / "monitor").exists())
        self.monitor.connect(f"{place}/monitor")
        self.socket.connect(f"{place}/agent")
        self.socket.settimeout(60)
        self.answers = self.socket.makefile("rb")

    def _read(self) -> None:
        self.lines.extend(self.qemu.stdout)

    def until(self, happened, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not happened():
            assert self.qemu.poll() is None, f"QEMU ended; the guest said {self.lines[-20:]}"
            assert time.monotonic() < ends, f"the guest said {self.lines[-20:]}"
            time.sleep(0.02)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def ask(self, what: str, **arguments):
        self.socket.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(self.answers.readline())
        assert "return" in answer, answer
        return answer["return"]

    def run(self, path: str, *words: str) -> tuple[int, str]:
        pid = self.ask("guest-exec", path=path, arg=list(words), **{"capture-output": True})["pid"]
        while not (done := self.ask("guest-exec-status", pid=pid))["exited"]:
            time.sleep(0.05)
        out = (done.get(name, "") for name in ("out-data", "err-data"))
        return done["exitcode"], b"".join(map(base64.b64decode, out)).decode()

    def close(self) -> None:
        self.qemu.kill()
        self.qemu.wait()
        self.monitor.close()
        self.socket.close()


@contextlib.contextmanager
def booted(memory: int = 128, vcpus: int = 1, disk: bytes = bytes(4096)):
    with tempfile.TemporaryDirectory() as place:
        guest = Guest(Path(place), memory, vcpus, disk)
        try:
            guest.until(lambda: guest.said("labkit: ready"))
            yield guest
        finally:
            guest.close()


def many_files() -> Tree:
    """A tree with what a disk's writer may get wrong: sizes round a block, directories of several, odd names, links."""
    tree = Tree()
    for size in (0, 1, 4095, 4096, 4097, 300_000):
        tree.add(f"sizes/{size}", (b"%d " % size * size)[:size])
    for number in range(700):
        tree.add(f"many/{'n' * (number % 40)}{number}", b"%d" % number, 0o755)
    tree.add("deep/er/and/deeper/+before-the-dot", b"x")
    tree.directory("nothing")
    tree.link("deep/link", "../sizes/4097")
    return tree


@pytest.fixture(scope="module")
def guest(live_required):
    if not shutil.which("qemu-system-x86_64") and not live_required:
        pytest.skip("there is no QEMU here")
    if image.status()["state"] != "ready":
        image.build()
    with booted(disk=many_files().erofs(1)) as guest:
        yield guest


def test_it_boots_and_its_agent_answers(guest):
    assert guest.said("labkit: init")
    assert guest.ask("guest-ping") == {}
    assert guest.ask("guest-get-host-name") == {"host-name": "plain"}


def test_the_tools_are_there_by_name_and_by_path(guest):
    assert guest.run("/tools/bin/stress-ng", "--version")[1].startswith("stress-ng, version 0.")
    status, said = guest.run("stress-ng", "--cpu", "1", "--timeout", "1s")
    assert (status, "successful run" in said) == (0, True), said
    assert guest.run("/bin/sh", "-c", "echo x >/tools/x")[0] != 0


def test_the_server_s_python_starts_and_has_no_complaint(guest):
    python = ["/tools/bin/python3", "-I", "-S"]
    assert guest.run(*python, "/tools/lib/labkit/serve.py", "burn", "10") == (0, "")
    assert guest.run(*python, "-c", "import os, sys, time; print(os.getuid())") == (0, "0\n")


def test_the_kernel_reads_what_the_disk_s_writer_wrote(guest):
    find = "mkdir -p /tmp/o; mount -t erofs -o ro /dev/vdb /tmp/o; cd /tmp/o"
    status, said = guest.run("/bin/sh", "-c", f"{find} && find . -type f -exec sha256sum {{}} +")
    assert status == 0
    files = {path: content for path, (mode, content) in many_files().entries.items() if stat.S_ISREG(mode)}
    read = {path.removeprefix("./"): digest for digest, path in (line.split() for line in said.splitlines())}
    assert read == {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    assert (
        guest.run("/bin/sh", "-c", "cd /tmp/o && cat deep/link | wc -c; ls -A nothing; ls many | wc -l")[1]
        == "4097\n700\n"
    )
    assert guest.run("/bin/sh", "-c", "cd /tmp/o; stat -c '%a %u %g %Y' many/0 sizes/0")[1] == "755 0 0 1\n644 0 0 1\n"
    assert "rror" not in guest.run("/bin/sh", "-c", "dmesg | grep -i erofs")[1]


def test_its_devices_work(guest):
    said = guest.run("/bin/sh", "-c", "cat /sys/class/net/eth0/address; ls /sys/bus/virtio/drivers/*/ -d")[1]
    assert "52:54:00" in said
    for driver in ("virtio_balloon", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng"):
        assert driver in said
    assert "lo" in guest.run("/bin/sh", "-c", "ip -o link show up")[1]


def test_the_kernel_finds_modules_when_asked(guest):
    status, said = guest.run(
        "/bin/sh", "-c", "ip link add link eth0 name tagged type vlan id 10 && ip -o link show tagged"
    )
    assert (status, "tagged@eth0" in said) == (0, True), said
    for module in ("sch_htb", "sch_netem", "sch_sfq", "sch_tbf"):
        assert guest.run("/sbin/modprobe", module)[0] == 0


def test_a_rested_guest_has_zeros_in_its_free_memory(guest):
    assert guest.run("/bin/rest") == (0, "")
    assert guest.ask("guest-ping") == {}


def test_its_console_is_a_shell(guest):
    guest.qemu.stdin.write("echo $((6 * 7)) at $(hostname)\n")
    guest.qemu.stdin.flush()
    guest.until(lambda: guest.said("42 at plain"))


@pytest.mark.parametrize(
    ("memory", "vcpus", "ending"), [(96, 2, "powerdown"), (128, 4, "reboot"), (80, 1, "halt"), (128, 1, "button")]
)
def test_it_boots_in_other_shapes_and_ends_when_told(guest, memory, vcpus, ending):
    with booted(memory, vcpus) as other:
        assert other.run("/bin/nproc")[1] == f"{vcpus}\n"
        if ending == "button":
            assert other.run("/bin/rest") == (0, "")  # waits until the button's driver is there
            other.monitor.sendall(b"system_powerdown\n")
        else:
            shutdown = {"execute": "guest-shutdown", "arguments": {"mode": ending}}
            other.socket.sendall(json.dumps(shutdown).encode() + b"\n")
        if ending == "halt":
            other.until(lambda: other.said("System halted"), 20)
        else:  # a reboot ends QEMU too, which was told so
            assert other.qemu.wait(20) == 0
