"""The numbers that lesson 04 says are those that the formats give, or that follow from what is written beside them."""

import json
import re
from pathlib import Path

import pytest

from labkit import views
from labkit.experiments import disk_pool, writes

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
            "that is {:.0f} MiB for 0.4 MiB of records",
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
    assert f"touch {expected:.0f} of them, says the rule. *theory* has counted these hundred" in TEXT
    assert f"they touched {len(blocks)} blocks" in TEXT
    counted = views.run("disk-thin", host="simulated", format="vdi", writes=ELSEWHERE)
    assert counted.columns("disk", "guest_bytes", per=MEBI)["theory"] == len(blocks)
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
    assert round(left / 1e9) == 25 and "the others take some 25 GB" in TEXT
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
    assert "the map has 8 bytes for each piece" in TEXT and "for a full disk of 8 GiB it takes 1 MiB" in TEXT
    for cluster, said in ((65536, "1 MiB with clusters of 64 KiB"), (4096, "16 MiB with clusters of 4 KiB")):
        assert round((8 << 30) // cluster * 8 / MEBI) == int(said.split()[0]) and said in TEXT


def test_the_panel_begins_with_what_is_said():
    assert re.search(r'views\.Panel\("disk-thin", writes="(.*?)"', TEXT)[1] == ANYWHERE
    assert json.dumps(ANYWHERE) in TEXT


def test_the_blocks_of_a_raw_file_are_as_said():
    seen = views.run("disk-thin", host="simulated", format="raw", writes=ANYWHERE)
    assert f"It has {seen.value('disk', 'guest_bytes') / 4096:.0f} such blocks" in TEXT


def test_all_formats_are_put_below_each_other():
    """What the cell of Explore 3 gives is what is said of each format; the cell itself is run here."""
    (cell,) = re.findall(r"```python\n(def length_of.*?)```", TEXT, flags=re.DOTALL)
    shown = {}
    here = type("Here", (), {"reveal": staticmethod(lambda _name, lengths: shown.update(lengths))})
    exec(cell, {"views": views, "here": here})
    assert set(shown) == {"qcow2", "vdi", "vhd", "vhdx", "vmdk", "parallels"}
    for name, said in shown.items():
        assert said.strip() == f"{length(format=name, writes=ANYWHERE):.1f} MiB"


def test_a_full_pool_is_as_said():
    seen = views.run("disk-pool", host="simulated")
    full, late = (seen.value("pool", f"time_to_{part}") for part in ("full", "90"))
    assert f"After {full:.1f} seconds" in TEXT and f"From the message at 90% it is {full - late:.1f} seconds" in TEXT
    chosen = disk_pool.Settings()
    assert f"until it has written {chosen.amount:g} MiB (`amount`)" in TEXT
    assert f"the pool is enlarged to {chosen.grown:g} MiB (`grown`" in TEXT and "grown" not in disk_pool.AT_FIRST
    assert "two seconds pass" in TEXT and "2 s later" in disk_pool.notes(chosen)[0]
    for quantity in ("used_in_all", "paused", "intact"):
        assert f"*{disk_pool.LABELS[quantity][0]}*" in TEXT


def test_what_a_vhd_adds_is_as_said():
    seen = views.run("disk-convert", host="simulated", target="vhd", backing="yes", snapshots=1)
    before, after = (seen.value(name, "disk_bytes") for name in ("source", "target"))
    assert f"{after - before:,.0f} bytes have been added at its end, {(after - before) / MEBI:.2f} MiB" in TEXT
    assert seen.value("target", "identical") == 1 and "The content is the same" in TEXT


def test_words_of_the_quiz_are_taught_before_it():
    before = TEXT[: TEXT.index("here.quiz()")]
    for word in ("**overprovisioning**", "**thick**", "Eagerly zeroed", "**IOPS**", "**TCG**", "**libvirt**"):
        assert word in before, word


def test_the_exercise_does_not_begin_with_its_answer():
    asked = TEXT[TEXT.index("## Exercise") : TEXT.index("<details><summary>Open this when the check says Done")]
    assert "discard" not in asked and "`trim()`" in asked
