"""The panels of lesson 04: what is offered, what is hidden, and what is drawn at first."""

import pytest

from labkit.views import Panel


def shown(panel):
    return {row["quantity"]: row["simulated"] for row in panel.outcome.rows}


def slider(panel, name):
    (found,) = panel.controls.by_setting[name]
    return found


def test_the_order_of_exploring_makes_no_difference():
    """Clusters of one's own, and then a format that has none: the slider is hidden, and nobody is told of an error."""
    panel = Panel("disk-thin")
    slider(panel, "cluster").value = "4 KiB"
    small = shown(panel)
    slider(panel, "format").value = "raw"
    assert panel.alert.value == "" and panel.settings.format == "raw" and panel.settings.cluster == "usual"
    assert slider(panel, "cluster").layout.display == "none"
    slider(panel, "format").value = "qcow2"
    assert panel.settings.cluster == "4 KiB" and shown(panel) == small
    assert slider(panel, "cluster").layout.display is None


def test_so_it_is_with_what_a_converted_disk_had():
    panel = Panel("disk-convert", backing="yes", snapshots=1)
    slider(panel, "source").value = "vdi"
    assert panel.alert.value == "" and panel.settings.source == "vdi"
    assert (panel.settings.backing, panel.settings.snapshots) == ("no", 0)
    slider(panel, "source").value = "vmdk"
    assert panel.alert.value == "" and (panel.settings.backing, panel.settings.snapshots) == ("yes", 0)


def test_what_acts_and_does_not_fit_is_still_refused():
    panel = Panel("disk-thin")
    slider(panel, "cluster").value = "4 KiB"
    slider(panel, "format").value = "raw"
    slider(panel, "writes").value = "everywhere"
    assert "each of writes is an offset" in panel.alert.value
    for form in ("random:", "sequential:"):
        assert form in panel.alert.value, "the forms that the lesson shows are named"


def test_what_was_written_stands_beside_what_it_took():
    pattern = "random:seed=1,count=100,length=4096"
    panel = Panel("disk-thin", writes=pattern)
    assert any("written: 409,600 B (0.4 MiB) in 100 writes" in line for line in panel.view.frame["where"])
    assert slider(panel, "writes").description == "writes", "a pattern is no number of bytes"


def test_the_pause_of_a_full_pool_is_drawn_and_said():
    frame = Panel("disk-pool").view.frame
    curves = {entry["name"]: {curve["column"] for curve in entry["curves"]} for entry in frame["quantities"]}
    assert "simulated" in curves["used_in_all"] and "simulated" in curves["paused"]
    assert not curves["used"], "it ends when the pool is full"
    assert any("2 s later it is enlarged from 64 to 128 MiB" in line for line in frame["where"])


def test_sizes_of_a_file_are_offered_as_a_list():
    panel = Panel("disk-trim")
    size = slider(panel, "file")
    assert size.description == "size of a file" and size.value == 1.0
    assert [label for label, _value in size.options] == ["16 KiB", "64 KiB", "256 KiB", "1 MiB"]
    for label, value in size.options:
        size.value = value
        assert panel.alert.value == "", label
    assert "size of a file" in panel._text_twin()
    started = slider(Panel("disk-trim", file="20 KiB"), "file")
    assert started.value == 20 / 1024 and ("20 KiB", 20 / 1024) in started.options


@pytest.mark.parametrize("amount", [24.0, 12.0])
def test_the_pool_shows_a_few_quantities_first_and_has_all(amount):
    panel = Panel("disk-pool", amount=amount)
    cards = {entry["name"]: entry["later"] for entry in panel.view.frame["quantities"]}
    assert set(cards) == {row["quantity"] for row in panel.outcome.rows}
    first = [name for name, later in cards.items() if not later]
    full = ["time_to_90", "time_to_full"] if amount == 24 else []
    assert sorted(first) == sorted([*full, "used", "used_in_all", "paused", "intact"])
    assert not any(entry["later"] for entry in Panel("disk-trim").view.frame["quantities"])


def test_a_pattern_of_writes_fits_into_its_box():
    pattern = "random:seed=1,count=100,length=4096"
    box = slider(Panel("disk-thin", writes=pattern), "writes")
    room = int(box.layout.width.removesuffix("px")) - int(float(box.style.description_width.removesuffix("px")))
    assert room > 8 * len(pattern)


def test_a_pool_of_disks_is_not_taken_for_memory():
    panel = Panel("disk-pool")
    assert panel.view.frame["memory"] is None and "memory of" not in panel._text_twin()


def test_what_qemu_tells_of_a_vhdx_is_said_beside_it():
    panel = Panel("disk-thin")
    assert not any("vhdx" in line for line in panel.view.frame["where"])
    slider(panel, "format").value = "vhdx"
    assert "of a vhdx file QEMU tells only that all of the disk is data" in panel.view.frame["where"][-1]
    assert any("vhdx" in line for line in Panel("disk-convert", target="vhdx").view.frame["where"])
