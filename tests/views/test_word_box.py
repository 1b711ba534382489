"""A list of words has one box, read, checked and put back; a number that is a label stands in a list."""

import ipywidgets as widgets
import pytest

from labkit.views import Panel


@pytest.fixture
def panel():
    return Panel("disk-thin")


def rows(panel):
    return {row["quantity"]: row["simulated"] for row in panel.outcome.rows}


def box(panel):
    (found,) = panel.controls.by_setting["writes"]
    return found


def test_the_box_holds_the_whole_list(panel):
    assert box(panel).value == "0+4096, 1048576+65536"
    assert box(panel).description == "writes"
    assert "offset+length" in box(panel).tooltip


def test_what_is_typed_becomes_the_setting(panel):
    before = rows(panel)["file_bytes"]
    box(panel).value = "0+4096,65536+4096, 131072+4096"
    assert panel.settings.writes == ("0+4096", "65536+4096", "131072+4096")
    assert rows(panel)["file_bytes"] == before + 65536  # 1 cluster of 64 KiB more: 3 in the place of 2
    box(panel).value = "random:seed=1,count=100,length=4096"
    assert panel.settings.writes == ("random:seed=1,count=100,length=4096",)


def test_what_cannot_be_read_is_refused_in_words(panel):
    serial = panel.view.frame["serial"]
    box(panel).value = "everywhere"
    assert "each of writes is an offset" in panel.alert.value
    assert panel.view.frame["serial"] == serial
    assert panel.settings.writes == ("0+4096", "1048576+65536")


def test_what_is_refused_and_what_is_shown_are_told_as_they_are_typed():
    panel = Panel("snapshot-revert")
    panel.controls.by_setting["after"][0].value = "0 to 4096"
    said = panel.alert.value
    assert "each write of" in said and "is an offset" in said and "(" not in said
    assert "Not 0 to 4096: the picture still shows after 0+131072, 4194304+131072." in said


def test_reset_puts_the_words_back(panel):
    box(panel).value = "0+65536"
    panel.reset_button.click()
    assert box(panel).value == "0+4096, 1048576+65536"
    assert panel.settings == panel.experiment.Settings()


def test_a_size_goes_in_powers_of_two(panel):
    (size,) = panel.controls.by_setting["size"]
    shown = dict(size.options)
    assert size.value == 1024.0
    assert shown["1024"] == 1024.0 and shown["65,536"] == 65536.0 and shown["2,097,152"] == 2097152.0


def test_a_vlan_is_a_label_and_stands_in_a_list():
    panel = Panel("net-isolation", vlans=(10, 10, 77))
    boxes = panel.controls.by_setting["vlans"]
    assert all(isinstance(box, widgets.Dropdown) for box in boxes)
    assert [box.description for box in boxes] == ["VLAN of m1", "VLAN of m2", "VLAN of m3"]
    assert all(box.tooltip.startswith(f"{box.description}: the VLAN of each") for box in boxes)
    assert [number for _word, number in boxes[0].options] == [0, 10, 20, 30]
    assert [number for _word, number in boxes[2].options] == [0, 10, 20, 30, 77]  # and what is set
    assert [word for word, _number in boxes[2].options] == ["0", "10", "20", "30", "77"]
    boxes[2].value = 10
    assert panel.settings.vlans == (10, 10, 10)
    assert all(row["simulated"] == 1 for row in panel.outcome.rows)
    (auditor,) = panel.controls.by_setting["auditor"]
    assert isinstance(auditor, widgets.Dropdown) and list(auditor.options) == ["none", "trunk"]
