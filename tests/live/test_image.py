"""The guest's image: made twice it is the same, what is wrong with it is said, and making it can fail."""

import errno
import getpass
import json
import os
import pwd
import shutil
import signal
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

pytestmark = pytest.mark.timeless

BUILD = "from labkit.live.image import build; build(lambda text, done: print(text, flush=True))"


def no_work_left(cache: Path) -> bool:
    return not list((cache / "image").glob(".making-*"))


@pytest.fixture(scope="module")
def own_cache():
    """A cache of the tests' own, short-lived, and with an image in it: a copy of the one that is there, if it is ready.

    Making one takes half a minute and more; that it can be made is seen where another user makes it.
    """
    if not shutil.which("apt-get"):
        pytest.skip("there is no apt here")
    there = image.load().kernel.parent if image.status()["state"] == "ready" else None
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
        patch.setenv("LABKIT_CACHE", place)
        if there:
            home = Path(place) / "image"
            shutil.copytree(there, home / there.name)
            (home / f"current-{os.uname().machine}").symlink_to(there.name)
            assert image.status()["state"] == "ready"
        else:
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
    assert any(name.startswith("python3.") for name in told["packages"])
    found = image.load()
    assert found.serves
    assert told["digest"] == found.digest
    licences = (found.kernel.parent / "LICENCES").read_text()
    manifest = json.loads(found.manifest.read_text())
    for package in manifest["packages"]:
        assert len(package["sha256"]) == 64
        assert f"apt-get source {package['source']}" in licences
    assert "GNU GENERAL PUBLIC LICENSE" in licences.upper()


def packages(place: Path) -> dict[str, str]:
    return {each["name"]: each["sha256"] for each in json.loads((place / "manifest.json").read_text())["packages"]}


@pytest.mark.timeout(600)
def test_another_user_makes_the_same_bytes(own_cache, repository, tmp_path, monkeypatch):
    """Twice, in different places, and the second time by somebody without any rights: all files are the same.

    The first time is when the image was made that is there; where apt has newer packages since, it is made anew.
    """
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
        if packages(one) != packages(other):
            monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
            one = image.build().kernel.parent
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


def test_an_image_of_an_earlier_recipe_has_no_server_and_still_boots(copy):
    manifest = image.load().manifest
    said = json.loads(manifest.read_text())
    del said["serves"]
    damaged_file(manifest.parent, manifest.name, json.dumps(said).encode())
    assert not image.load().serves


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
