"""The guest's image: made twice it is the same, what is wrong with it is said, and it boots."""

import base64
import contextlib
import errno
import getpass
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from labkit.host import HostError
from labkit.live import image, image_packages
from labkit.live.image_files import Module, Tree, kernel_as_elf, module_tables, needed

BUILD = "from labkit.live.image import build; build(lambda text, done: print(text, flush=True))"


def no_work_left(cache: Path) -> bool:
    return not list((cache / "image").glob(".making-*"))


@pytest.fixture(scope="module")
def own_cache():
    """A cache of the tests' own, short-lived, and with an image in it."""
    if not shutil.which("apt-get"):
        pytest.skip("there is no apt here")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
        patch.setenv("LABKIT_CACHE", place)
        image.build()
        yield Path(place)


@pytest.fixture
def copy(own_cache, tmp_path, monkeypatch):
    """A cache with a copy of the image in it; the files are linked, so replace them rather than write into them."""
    shutil.copytree(own_cache, tmp_path / "copy", symlinks=True, copy_function=os.link)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "copy"))
    return tmp_path / "copy"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    return tmp_path


# What it is


def test_it_says_what_it_is_made_of(own_cache):
    told = image.status()
    assert told["state"] == "ready"
    assert told["complete"]
    assert {"busybox-static", "qemu-guest-agent", "stress-ng", f"linux-image-{told['kernel']}"} <= set(told["packages"])
    found = image.load()
    assert told["digest"] == found.digest
    licences = (found.kernel.parent / "LICENCES").read_text()
    manifest = json.loads(found.manifest.read_text())
    for package in manifest["packages"]:
        assert len(package["sha256"]) == 64
        assert f"apt-get source {package['source']}" in licences
    assert "GNU GENERAL PUBLIC LICENSE" in licences.upper()


def test_another_user_makes_the_same_bytes(own_cache, repository):
    """Twice, in different places, and the second time by somebody without any rights: all files are the same."""
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    with tempfile.TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, pwd.getpwnam(user).pw_uid, -1)
        env = {"PATH": os.environ["PATH"], "HOME": place, "LABKIT_CACHE": f"{place}/elsewhere"}
        built = [sys.executable, "-B", "-c", BUILD]
        subprocess.run(
            built, cwd=repository, env=env, user=user if os.geteuid() == 0 else None, check=True, timeout=200
        )
        one, other = (
            cache / "image" / f"current-{os.uname().machine}" for cache in (own_cache, Path(env["LABKIT_CACHE"]))
        )
        names = sorted(file.name for file in one.iterdir())
        assert names == sorted(file.name for file in other.iterdir()) == sorted([*image.FILES, "manifest.json"])
        assert [image._sha256(one / name) for name in names] == [image._sha256(other / name) for name in names]


def test_the_same_tree_gives_the_same_bytes_in_any_order():
    trees = Tree(), Tree()
    files = [("b/two", b"2"), ("a", b"1"), ("b/one", b"x" * 5000)]
    for tree, order in zip(trees, (files, files[::-1]), strict=True):
        for path, content in order:
            tree.add(path, content)
        tree.link("c", "a")
    assert trees[0].cpio(7) == trees[1].cpio(7)
    assert trees[0].erofs(7) == trees[1].erofs(7)
    assert trees[0].erofs(7) != trees[0].erofs(8)
    assert len(trees[0].erofs(7)) % 4096 == 0


def test_what_modules_need_is_loaded_before_them():
    modules = {
        "vlan": Module(b"", ("garp", "mrp"), ("rtnl-link-vlan",)),
        "garp": Module(b"", ("stp", "llc"), ()),
        "stp": Module(b"", ("llc",), ()),
        "llc": Module(b"", (), ()),
        "mrp": Module(b"", (), ()),
    }
    tables = module_tables(modules)
    (line,) = (line for line in tables["modules.dep"].splitlines() if line.startswith("vlan.ko:"))
    order = line.split()[:0:-1]  # modprobe goes from the end
    assert sorted(order) == ["garp.ko", "llc.ko", "mrp.ko", "stp.ko"]
    assert order.index("llc.ko") < order.index("stp.ko") < order.index("garp.ko")
    assert tables["modules.alias"] == "alias rtnl-link-vlan vlan\n"


def test_needed_reads_programs_and_nothing_else():
    assert any(name.startswith("libc.so") for name in needed(Path("/bin/ls").resolve().read_bytes()))
    assert needed(b"#!/bin/sh\n") == []


def test_a_kernel_wrapped_in_an_unknown_way_is_left_as_it_is():
    assert kernel_as_elf(bytes(4096)) is None
    header = bytearray(4096)
    header[0x202:0x206] = b"HdrS"
    assert kernel_as_elf(bytes(header)) is None


# What is wrong with it


def damaged_file(image_directory: Path, name: str, content: bytes) -> None:
    (image_directory / name).unlink()
    (image_directory / name).write_bytes(content)


@pytest.mark.parametrize("name", ["kernel", "initrd", "tools", "LICENCES"])
@pytest.mark.parametrize("how", ["cut", "missing"])
def test_a_file_cut_short_or_missing(copy, name, how):
    directory = image.load().kernel.parent
    if how == "cut":
        damaged_file(directory, name, (directory / name).read_bytes()[:-1])
    else:
        (directory / name).unlink()
    with pytest.raises(HostError, match=name) as caught:
        image.load()
    assert "labkit image build" in caught.value.remedy
    assert (image.status()["state"], image.status()["complete"]) == ("damaged", False)


def test_another_byte_in_a_file(copy):
    directory = image.load().kernel.parent
    content = bytearray((directory / "initrd").read_bytes())
    content[len(content) // 2] ^= 1
    damaged_file(directory, "initrd", bytes(content))
    assert image.status()["state"] == "damaged"
    assert "initrd" in image.status()["reason"]


@pytest.mark.parametrize("part", [0, 100, -100])
def test_half_a_manifest(copy, part):
    manifest = image.load().manifest
    damaged_file(manifest.parent, manifest.name, manifest.read_bytes()[:part])
    with pytest.raises(HostError, match="manifest") as caught:
        image.load()
    assert "labkit image build" in caught.value.remedy


def test_a_manifest_that_was_changed(copy):
    manifest = image.load().manifest
    damaged_file(manifest.parent, manifest.name, manifest.read_bytes().replace(b"ttyS0", b"ttyS1"))
    with pytest.raises(HostError, match="manifest"):
        image.load()


def test_no_image(empty):
    with pytest.raises(HostError, match="no guest image") as caught:
        image.load()
    assert "labkit image build" in caught.value.remedy
    assert image.status()["state"] == "absent"


def test_another_recipe_makes_it_stale(copy, monkeypatch):
    monkeypatch.setattr(image, "_recipe_digest", lambda: "another")
    told = image.status()
    assert (told["state"], told["complete"]) == ("stale", True)
    assert "labkit image build" in told["remedy"]


def test_an_unknown_architecture(empty, monkeypatch):
    monkeypatch.setattr(image.platform, "machine", lambda: "vax")
    with pytest.raises(HostError, match="vax"):
        image.build()


# Making it


def test_a_full_disk_is_said_and_leaves_nothing(empty, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image, "find_source", full)
    with pytest.raises(HostError, match="full") as caught:
        image.build()
    assert "LABKIT_CACHE" in caught.value.remedy
    assert no_work_left(empty)


def test_a_program_that_meets_a_full_disk_is_understood(tmp_path):
    says = "import sys; sys.exit('tar: write error: No space left on device')"
    with pytest.raises(OSError, match="No space left") as caught:
        image_packages._run([sys.executable, "-c", says], tmp_path, "It failed", "")
    assert caught.value.errno == errno.ENOSPC


def test_ctrl_c_in_the_middle_leaves_nothing(empty, repository):
    if not shutil.which("apt-get"):
        pytest.skip("there is no apt here")
    command = [sys.executable, "-c", BUILD]
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as building:
        for line in building.stdout:
            if "busybox" in line:
                break
        assert not no_work_left(empty)
        os.killpg(building.pid, signal.SIGINT)  # as the terminal does: everybody gets it
        assert building.wait(20) != 0
    assert no_work_left(empty)
    assert image.status()["state"] == "absent"


def test_what_a_killed_build_left_is_swept(copy, own_cache, monkeypatch):
    left = copy / "image" / ".making-left"
    left.mkdir()
    monkeypatch.setattr(image, "_make", lambda work, _progress: linked_image(own_cache, work))
    image.build()
    assert not left.exists()
    assert image.status()["state"] == "ready"


def linked_image(cache: Path, work: Path) -> Path:
    """Stand for a build: the tests' own image once more."""
    (source,) = (file.parent for file in cache.glob("image/*/manifest.json") if not file.parent.is_symlink())
    return Path(shutil.copytree(source, work / "image", copy_function=os.link))


def test_the_second_of_two_builders_takes_the_first_one_s_image(own_cache, empty, monkeypatch):
    (empty / "image").mkdir()
    began, made, said, results = threading.Event(), [], [], []

    def slow(work, _progress):
        made.append(work)
        began.set()
        time.sleep(1)
        return linked_image(own_cache, work)

    monkeypatch.setattr(image, "_make", slow)
    first = threading.Thread(target=lambda: results.append(image.build()))
    first.start()
    assert began.wait(5)
    results.append(image.build(lambda text, _done: said.append(text)))
    first.join()
    assert len(made) == 1
    assert results[0] == results[1]
    assert any("another build" in text for text in said)
    assert no_work_left(empty)


def test_an_image_replaces_a_damaged_one_of_the_same_name(copy, own_cache, monkeypatch):
    directory = image.load().kernel.parent
    damaged_file(directory, "kernel", b"")
    monkeypatch.setattr(image, "_make", lambda work, _progress: linked_image(own_cache, work))
    assert image.build().kernel.parent == directory
    assert image.status()["state"] == "ready"


def test_no_package_lists(empty, tmp_path, monkeypatch):
    """As on a machine where apt never fetched its lists."""
    if not shutil.which("apt-get"):
        pytest.skip("there is no apt here")
    (tmp_path / "lists/partial").mkdir(parents=True)
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::State::lists "{tmp_path}/lists";\nDir::Cache "{tmp_path}";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    with pytest.raises(HostError, match="does not know the package linux-image") as caught:
        image.build()
    assert "apt-get update" in caught.value.remedy
    assert no_work_left(empty)


def test_no_apt(empty, monkeypatch):
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(image_packages.platform, "release", lambda: "0.0-none")
    with pytest.raises(HostError, match="no apt") as caught:
        image.build()
    assert "0.0-none" in caught.value.remedy


def test_own_files_are_found_with_their_libraries(tmp_path):
    files = image_packages.OwnFiles()
    libraries = files.libraries(files.program("coreutils", "usr/bin/sort"))
    assert any(name.startswith("libc.so") for name in libraries)
    assert all(file.is_file() for file in libraries.values())
    with pytest.raises(HostError, match="no program nowhere") as caught:
        files.program("some-package", "bin/nowhere")
    assert "some-package" in caught.value.remedy


# Booting it


class Guest:
    """A guest on plain QEMU, with nothing of labkit's between."""

    def __init__(self, place: Path, memory: int, vcpus: int, disk: bytes) -> None:
        found = image.load()
        (place / "disk").write_bytes(disk)
        self.lines: list[str] = []
        command = f"""
            qemu-system-x86_64 -accel tcg -machine q35 -m {memory} -smp {vcpus} -kernel {found.kernel} -initrd {found.initrd}
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
def guest(own_cache, live_required):
    if not shutil.which("qemu-system-x86_64") and not live_required:
        pytest.skip("there is no QEMU here")
    with booted(disk=many_files().erofs(1)) as guest:
        yield guest


@pytest.mark.live
def test_it_boots_and_its_agent_answers(guest):
    assert guest.said("labkit: init")
    assert guest.ask("guest-ping") == {}
    assert guest.ask("guest-get-host-name") == {"host-name": "plain"}


@pytest.mark.live
def test_the_tools_are_there_by_name_and_by_path(guest):
    assert guest.run("/tools/bin/stress-ng", "--version")[1].startswith("stress-ng, version 0.")
    status, said = guest.run("stress-ng", "--cpu", "1", "--timeout", "1s")
    assert (status, "successful run" in said) == (0, True), said
    assert guest.run("/bin/sh", "-c", "echo x >/tools/x")[0] != 0


@pytest.mark.live
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


@pytest.mark.live
def test_its_devices_work(guest):
    said = guest.run("/bin/sh", "-c", "cat /sys/class/net/eth0/address; ls /sys/bus/virtio/drivers/*/ -d")[1]
    assert "52:54:00" in said
    for driver in ("virtio_balloon", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng"):
        assert driver in said
    assert "lo" in guest.run("/bin/sh", "-c", "ip -o link show up")[1]


@pytest.mark.live
def test_the_kernel_finds_modules_when_asked(guest):
    status, said = guest.run(
        "/bin/sh", "-c", "ip link add link eth0 name tagged type vlan id 10 && ip -o link show tagged"
    )
    assert (status, "tagged@eth0" in said) == (0, True), said
    for module in ("sch_htb", "sch_netem", "sch_sfq", "sch_tbf"):
        assert guest.run("/sbin/modprobe", module)[0] == 0


@pytest.mark.live
def test_a_rested_guest_has_zeros_in_its_free_memory(guest):
    assert guest.run("/bin/rest") == (0, "")
    assert guest.ask("guest-ping") == {}


@pytest.mark.live
def test_its_console_is_a_shell(guest):
    guest.qemu.stdin.write("echo $((6 * 7)) at $(hostname)\n")
    guest.qemu.stdin.flush()
    guest.until(lambda: guest.said("42 at plain"))


@pytest.mark.live
@pytest.mark.parametrize(
    ("memory", "vcpus", "ending"), [(96, 2, "powerdown"), (128, 4, "reboot"), (80, 1, "halt"), (128, 1, "button")]
)
def test_it_boots_in_other_shapes_and_ends_when_told(own_cache, guest, memory, vcpus, ending):
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
