from labkit.views.commands import folded


def test_comments_are_shown_and_not_counted():
    shown = folded(["# machine.xml() is the file", "virsh start m1", "virsh schedinfo m1 --set cpu_shares=<3>"])
    assert "What libvirt was asked (2 commands)" in shown
    assert "# machine.xml() is the file" in shown and "cpu_shares=&lt;3&gt;" in shown
    assert "(1 command)" in folded(["virsh start m1"])
    assert folded([]) == ""
