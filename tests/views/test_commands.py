from labkit.views.commands import folded


def test_comments_are_shown_and_not_counted():
    shown = folded(["# machine.xml() is the file", "virsh start m1", "virsh schedinfo m1 --set cpu_shares=<3>"])
    assert "What libvirt was asked (2 commands)" in shown
    assert "# machine.xml() is the file" in shown and "cpu_shares=&lt;3&gt;" in shown
    assert "(1 command)" in folded(["virsh start m1"])
    assert folded([]) == ""


def test_the_heading_says_who_was_asked():
    files = ["# nobody was asked", "qemu-img create -q a.qcow2 1G", "qemu-io -c 'write 0 4096' a.qcow2", "stat a.qcow2"]
    assert "<summary>The plain commands (3 commands)</summary>" in folded(files)
    both = folded([*files, "virsh start m1"])
    assert "<summary>What libvirt was asked, and what else was run (4 commands)</summary>" in both
    assert "<summary>What libvirt was asked (1 command)</summary>" in folded(["virsh start m1", "# no qemu-img"])
