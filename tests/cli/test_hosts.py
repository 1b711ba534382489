"""`labkit hosts`: a row a driver, with the evidence and the remedy."""

import pytest

from .asking import labkit, refused


def test_as_one_document():
    reply = labkit("hosts", "--json")
    assert (reply.code, reply.err) == (0, "")
    rows = {row["name"]: row for row in reply.json}
    assert set(rows) >= {"qemu", "test", "esx", "vmware", "vbox", "xen", "lxc", "openvz", "hyperv", "vz", "bhyve", "ch"}
    for row in rows.values():
        assert set(row) >= {"name", "uri", "state", "evidence", "can", "remedy"}
        assert row["state"] in ("works", "absent", "broken") and row["evidence"]
        assert row["state"] == "works" or row["remedy"]


def test_as_text():
    pytest.importorskip("libvirt")
    reply = labkit("hosts")
    assert (reply.code, reply.err) == (0, "")
    assert "test:///default" in reply.out and "what to do: " in reply.out and "reads back 50" in reply.out


def test_it_takes_no_words():
    refused(labkit("hosts", "qemu"))


def test_without_libvirt_every_driver_is_absent_and_the_remedy_says_how_to_get_it(tmp_path):
    (tmp_path / "libvirt.py").write_text("raise ImportError('there is none')")
    reply = labkit("hosts", "--json", PYTHONPATH=str(tmp_path))
    assert (reply.code, reply.err) == (0, "")
    for row in reply.json:
        assert row["state"] == "absent" and row["can"] == []
        assert "libvirt is not installed" in row["evidence"] and "./course open" in row["remedy"]
