"""The numbers that lesson 04 says are those that the formats give, or that follow from what is written beside them."""

import json
import re
from pathlib import Path

import pytest

from labkit import views
from labkit.experiments import writes

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "04-virtual-disks.md"
TEXT = SOURCE.read_text(encoding="utf-8")
ANYWHERE = "random:seed=1,count=100,length=4096"
ELSEWHERE = "random:seed=2,count=100,length=4096"
IN_A_ROW = "sequential:count=100,length=4096"
MEBI = 1 << 20


def length(**settings):
    return views.run("disk-thin", host="simulated", **settings).columns("disk", "file_bytes", per=MEBI)["simulated"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"writes": IN_A_ROW}, "2. {:.2f} MiB. Sixteen records"),
        ({"format": "vmdk"}, "3. vmdk {:.1f} MiB and qcow2"),
        ({}, "and qcow2 {:.1f} MiB, with pieces of 64 KiB"),
        ({"format": "vdi"}, "vdi {:.0f} MiB and parallels"),
        ({"format": "parallels"}, "and parallels {:.0f} MiB, with pieces of 1 MiB"),
        ({"format": "vhd"}, "vhd {:.0f} MiB, with 2 MiB"),
        ({"format": "vhdx"}, "vhdx {:.0f} MiB, with 8 MiB"),
        ({"cluster": "4 KiB"}, "With pieces of 4 KiB the file is {:.2f} MiB long"),
        ({}, "The right one is {:.1f}."),
        ({"format": "raw"}, "it takes all its {:,.0f} MiB"),
        (
            {"format": "vdi", "writes": "random:seed=2,count=100,length=4096"},
            "That is {:.0f} MiB for 0.4 MiB of records",
        ),
    ],
)
def test_lengths_are_as_said(settings, sentence):
    assert sentence.format(length(**{"writes": ANYWHERE, **settings})) in TEXT


def test_pieces_are_as_said():
    touched = {offset // 65536 for offset, _length in writes.places([ANYWHERE], 1 << 30)}
    assert len(touched) == 99 and "two of the hundred records fell into one" in TEXT
    blocks = {offset // MEBI for offset, _length in writes.places([ELSEWHERE], 1 << 30)}
    assert len(blocks) == 91 and "as nine records met another one in theirs" in TEXT
    expected = 1024 * (1 - (1 - 1 / 1024) ** 100)
    assert f"the rule expects {expected:.0f}; these hundred touched {len(blocks)} blocks" in TEXT
    seen = views.run("disk-thin", host="simulated", writes=ANYWHERE)
    assert seen.value("disk", "guest_bytes") == 99 * 65536
    tables = seen.value("disk", "file_bytes") - seen.value("disk", "guest_bytes")
    assert f"The file is {tables / MEBI:.1f} MiB longer than its data" in TEXT
    assert -(-100 * 4096 // 65536) == 7 and "seven clusters are enough" in TEXT


def test_the_decision_is_as_worked_out():
    records, machines = 25_000, 20
    assert round(records * 4000 / 1e6) == 100 and round(machines * records * 4000 / 1e9) == 2
    assert f"= {records * 65536 / 1e9:.1f} GB in every machine" in TEXT
    assert f"and {machines * records * 65536 / 1e9:.0f} GB in all twenty" in TEXT
    left = machines * records * 65536 * (100 - 480 / 20) / 100  # of each disk of 100 GB, 24 have been written to
    assert round(left / 1e9) == 25 and "that leaves some 25 GB" in TEXT
    assert round(5 * 20e9 / left) == 4 and "With four fifths of the work done" in TEXT
    assert machines * records * 65536 > 20e9, "the store is full by it"
    ratio = length(format="vdi", writes=ELSEWHERE) / length(writes=ANYWHERE)
    assert round(ratio) == 14 and "full fourteen times as soon" in TEXT


def test_waiting_is_as_said():
    seen = views.run("disk-throttle", host="simulated")
    first, second = (seen.value(name, "latency") for name in ("m1", "m2"))
    assert f"{first:.0f} ms, and {second:.0f} ms in the second machine" in TEXT
    deeper = views.run("disk-throttle", host="simulated", depth=8).value("m1", "latency")
    assert deeper / first == pytest.approx(2, rel=0.01) and "each takes twice as long" in TEXT


def test_the_table_of_a_disk_is_as_said():
    """qcow2's L2 table has 8 bytes for each cluster."""
    for cluster, said in ((65536, "1 MB of table with clusters of 64 KiB"), (4096, "16 MB with clusters of 4 KiB")):
        assert round((8 << 30) // cluster * 8 / MEBI) == int(said.split()[0]) and said in TEXT


def test_the_panel_begins_with_what_is_said():
    assert re.search(r'views\.Panel\("disk-thin", writes="(.*?)"', TEXT)[1] == ANYWHERE
    assert json.dumps(ANYWHERE) in TEXT
