"""The six products: every answer has its document, and what is shown is what the file says."""

import copy
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import labkit.products
from labkit.course import products
from labkit.products import NOT_DOCUMENTED

FILE = tomllib.loads((Path(labkit.products.__file__).parent / "products.toml").read_text(encoding="utf-8"))
SIX = ["esxi", "hyper-v", "kvm", "workstation", "virtualbox", "parallels"]
CONTROLS = [
    *("shares", "cap", "reservation", "pinning", "hot-add", "ready time", "balloon", "page sharing", "thin disk"),
    *("disk limit", "snapshot", "revert", "consolidate", "quiesce", "virtual switch", "vlan", "shaping", "firewall"),
    *("live migration", "availability", "export"),
]


def test_the_six_and_all_controls_are_there():
    assert [product.key for product in labkit.products.products()] == SIX
    assert [row.key for row in labkit.products.rows() if row.control] == CONTROLS
    assert {"type", "scheduling", "memory", "disk formats", "snapshots", "networks", "limits"} <= set(
        FILE["properties"]
    )


@pytest.mark.parametrize("key", SIX)
def test_every_cell_has_its_document_or_says_that_there_is_none(key):
    entry = FILE["products"][key]
    for name, cell in entry["cells"].items():
        assert cell["text"].strip() and cell["section"].strip(), name
        assert cell["source"] in FILE["sources"], name
        if "checked" in cell:
            assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", cell["checked"]), name
        else:
            assert cell["seen"] is False, name
        assert NOT_DOCUMENTED not in cell["text"], name
        for mark in "`*":
            assert cell["text"].count(mark) % 2 == 0, f"{name}: a mark is left open"
    assert set(entry["cells"]) | set(entry["not_documented"]) == {*FILE["properties"], *FILE["controls"]}
    assert not set(entry["cells"]) & set(entry["not_documented"])


def test_no_source_is_left_over():
    used = {cell["source"] for entry in FILE["products"].values() for cell in entry["cells"].values()}
    assert used == set(FILE["sources"])


def test_most_was_read_again():
    cells = [cell for entry in FILE["products"].values() for cell in entry["cells"].values()]
    assert sum("checked" in cell for cell in cells) > 0.8 * len(cells)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda f: f["products"]["kvm"]["cells"].pop("shares"), "shares"),
        (lambda f: f["products"]["kvm"]["not_documented"].append("shares"), "shares"),
        (lambda f: f["products"]["kvm"]["cells"]["shares"].pop("section"), "section"),
        (lambda f: f["products"]["kvm"]["cells"]["shares"].pop("checked"), "checked"),
        (lambda f: f["products"]["kvm"]["cells"].update(colour=f["products"]["kvm"]["cells"]["shares"]), "colour"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(monkeypatch, spoil, word):
    spoilt = copy.deepcopy(FILE)
    spoil(spoilt)
    monkeypatch.setattr(labkit.products, "_written", lambda: spoilt)
    with pytest.raises(ValueError, match=word):
        labkit.products.products.__wrapped__()


class Cells(HTMLParser):
    """The rows of a table, and the list items below it, as plain text."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.items, self.open = [], [], []
        self.feed(text)
        assert not self.open, "every element that is opened is closed"

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            if tag == "th":
                assert dict(attributes)["scope"] in ("row", "col")
        elif tag == "li":
            self.items.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        elif "li" in self.open:
            self.items[-1] += data


def bare(text):
    return text.replace("*", "").replace("`", "")


def test_a_table_for_a_lesson_says_what_the_file_says():
    table = products.table("cap", "ready time")
    cells = Cells(table.html)
    assert cells.rows[0] == ["product", "cap", "ready time"]
    assert [row[0] for row in cells.rows[1:]] == [FILE["products"][key]["name"] for key in SIX]
    for key, row in zip(SIX, cells.rows[1:], strict=True):
        for asked, shown in zip(("cap", "ready time"), row[1:], strict=True):
            cell = FILE["products"][key]["cells"].get(asked)
            if cell is None:
                assert shown == NOT_DOCUMENTED
                continue
            text, number = re.fullmatch(r"(.*)\xa0(\d+)", shown).groups()
            assert text == bare(cell["text"])
            assert cells.items[int(number) - 1].startswith(bare(FILE["sources"][cell["source"]]))
            assert cell["section"] in cells.items[int(number) - 1]
    assert table.cells == 12 and table.documented == sum(NOT_DOCUMENTED not in c for r in cells.rows[1:] for c in r[1:])


def test_a_command_breaks_at_no_hyphen_and_its_number_stays_with_it():
    def shown(key, product):
        return re.search(r"<td[^>]*>(.*?)</td>", products.table(key, of=[product]).html)[1]

    assert re.search(
        r'<code style="white-space:nowrap">New-VHD -Dynamic</code>&nbsp;<sup>1</sup>', shown("thin disk", "hyper-v")
    )
    long = shown("disk limit", "kvm")
    assert '<span style="white-space:nowrap">--total-iops-sec 500</span></code>&nbsp;<sup>' in long
    assert re.sub(r"<[^>]*>", "", long).startswith("iotune: virsh blkdeviotune web vda --total-iops-sec 500")


def test_the_text_twin_and_the_markdown_say_the_same():
    table = products.table("shares", of=("kvm", "virtualbox"))
    assert repr(table).splitlines() == [
        "KVM with libvirt and QEMU",
        "  shares: shares, 2 to 262,144: `virsh schedinfo web --live cpu_shares=512` [1]",
        "Oracle VirtualBox",
        "  shares: not documented",
        "",
        "[1] libvirt, Domain XML format, “CPU Tuning”",
    ]
    assert table.markdown.splitlines()[:2] == ["| product | shares |", "|---|---|"]
    assert table.markdown.count("<sup>1</sup>") == 2 and "| Oracle VirtualBox | not documented |" in table.markdown
    assert set(table._repr_mimebundle_()) == {"text/html", "text/plain", "text/markdown"}
    assert repr(products.table("shares", of=("kvm", "virtualbox"))) == repr(table)


def test_what_may_have_changed_in_a_later_edition_says_so():
    assert "(not compared with its latest edition)" in repr(products.table("export", of=["esxi"]))
    assert "latest edition" not in repr(products.table("shares", of=["kvm"]))


def test_everything_of_everybody_stands_with_a_line_for_each_thing():
    cells = Cells(products.table().html)
    assert cells.rows[0] == ["", *(FILE["products"][key]["name"] for key in SIX)]
    assert [row[0] for row in cells.rows[1:]] == [*FILE["properties"], *FILE["controls"]]
    assert {len(row) for row in cells.rows} == {7}


@pytest.mark.parametrize("wrong", [{"keys": ["share"]}, {"of": ["qemu"]}])
def test_a_wrong_name_is_answered_with_the_right_ones(wrong):
    with pytest.raises(ValueError, match="there is no .*; there are .*(shares|kvm)"):
        products.table(*wrong.get("keys", ()), of=wrong.get("of", ()))


def test_looking_things_up():
    browser = products.browse()
    assert browser.thing.value == "shares" and browser.product.value == ""
    assert browser.reading() == "Shares of all six: 5 of 6 are documented."
    browser.product.value = "hyper-v"
    assert browser.reading().startswith("Microsoft Hyper-V, shares: relative weight, 1 to 10,000")
    assert len(Cells(browser._table.value).rows) == 2
    browser.thing.value = ""
    assert browser.reading() == "Everything of Microsoft Hyper-V: 26 of 29 are documented."
    assert browser._said.value == browser.reading(), "a screen reader hears what has changed"
    assert [name for name, _ in browser.product.options][1:] == [FILE["products"][key]["name"] for key in SIX]


def test_the_widget_has_its_twins():
    data = products.browse("type")._repr_mimebundle_()
    assert data["text/plain"].startswith("Type of all six: 6 of 6 are documented.")
    assert "Disputed" in data["text/plain"] and "<table>" in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data
    with pytest.raises(ValueError, match="there is no row"):
        products.browse("colour")
