"""The model's books of free clusters against QEMU's: any writes and discards, one program, to the byte."""

import json
import random
import subprocess

import pytest

import labkit

pytestmark = [pytest.mark.live, pytest.mark.timeless]

BLOCK = 4096
DISK = 16 << 20


def acts(seed):
    """Writes and discards of whole blocks; some clusters are taken, freed and taken again."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 25)):
        offset = chance.randrange(DISK // BLOCK)
        length = min(chance.choice((1, 4, 16, 40, 100, 400)), DISK // BLOCK - offset)
        yield chance.choice(("write", "write", "discard")), offset * BLOCK, length * BLOCK


@pytest.mark.parametrize("format", ["qcow2", "raw"])
def test_any_writes_and_discards(shared_host, format, tmp_path):
    if not (able := shared_host.can("disks")):
        pytest.skip(able.reason)
    for seed in range(20):
        path = tmp_path / f"{seed}.{format}"
        subprocess.run(["qemu-img", "create", "-q", "-f", format, path, str(DISK)], check=True)
        words = ["qemu-io", "-d", "unmap", "-t", "unsafe", "-f", format]
        with labkit.simulated() as host:
            disk = host.disk("data", f"{DISK} B", format=format)
            machine = host.create("m1", disks=[disk])
            for what, offset, length in acts(seed):
                words += ["-c", f"{what} -q {'-P 165 ' if what == 'write' else ''}{offset} {length}"]
                getattr(machine, what)("data", [(offset, length)])
            subprocess.run([*words, path], check=True, capture_output=True)
            told = json.loads(
                subprocess.run(
                    ["qemu-img", "map", "-f", format, "--output=json", path], check=True, capture_output=True
                ).stdout
            )
            seen = [(part["start"], part["length"], part["offset"]) for part in told if part["data"]]
            assert seen == [(part.start, part.length, part.offset) for part in disk.map() if part.data], seed
            assert path.stat().st_size == disk.file_bytes, seed
