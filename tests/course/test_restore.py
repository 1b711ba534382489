"""The exercise of lesson 05: only what brings back disk and memory in time is taken for done."""

import pytest

import labkit
from labkit.course.checks.restore import LIMIT, Shop, restored_goal

VALUES = {"orders": 3, "baskets": 5}


def prudent(shop):
    snapshot = shop.machine.snapshot("before", kind="external")
    shop.upgrade()
    shop.machine.revert(snapshot)


def test_who_took_a_snapshot_before_is_done():
    verdict = restored_goal(VALUES, prudent, "simulated")
    assert verdict.said.endswith("On the simulated host.")
    assert verdict.done and "until the shop was as it had been" in verdict.said


def test_a_shop_can_be_looked_at_by_itself():
    with labkit.simulated() as host:
        shop = Shop(host, VALUES)
        assert not restored_goal(VALUES, shop).done
        prudent(shop)
        assert restored_goal(VALUES, shop).done
        host.pass_time(LIMIT)
        assert "10 s are allowed" in restored_goal(VALUES, shop).said
        assert "upgraded" in repr(shop)


def test_waiting_for_others_does_not_count(monkeypatch):
    cases = ((0.0, False, "; 10 s are allowed"), (1.0, False, "11."), (7.0, True, "does not count: 5."))
    for waited, done, said in cases:
        with labkit.simulated() as host:
            shop = Shop(host, VALUES)
            prudent(shop)
            host.pass_time(shop.upgraded + 12.3 - host.now)
            monkeypatch.setattr(Shop, "waited", lambda _shop, waited=waited: waited)
            verdict = restored_goal(VALUES, shop)
            assert verdict.done is done and said in verdict.said and "12.3 s from the upgrade" in verdict.said


def test_a_mistake_of_ours_is_not_told_as_the_learners(monkeypatch):
    monkeypatch.setattr(Shop, "upgrade", lambda shop: labkit.host.nothing)
    monkeypatch.setitem(Shop.upgrade.__globals__, "__name__", "labkit.somewhere")
    with pytest.raises(AttributeError, match="nothing"):
        restored_goal(VALUES, lambda shop: shop.upgrade(), "simulated")


def test_a_refusal_says_why_and_not_what_to_take():
    verdict = restored_goal(VALUES, lambda shop: shop.machine.snapshot("before", kind="internal"), "simulated")
    assert not verdict.done and "The disk `orders` is raw" in verdict.said and "no place in it" in verdict.said
    assert "external" not in verdict.said
    other = restored_goal(VALUES, lambda shop: (shop.upgrade(), shop.upgrade()), "simulated")
    assert "Begin with a new shop." in other.said, "other remedies are told"


def test_its_help_has_the_two_calls():
    assert "shop.machine.snapshot(" in Shop.__doc__ and "shop.machine.revert(snap)" in Shop.__doc__


def without_memory(shop):
    snapshot = shop.machine.snapshot("before", kind="disk-only")
    shop.upgrade()
    shop.machine.revert(snapshot)


def too_late(shop):
    shop.upgrade()
    shop.machine.revert(shop.machine.snapshot("after", kind="external"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (without_memory, "does not have its baskets"),
        (too_late, "its orders and its baskets"),
        (lambda shop: shop.upgrade(), "its orders and its baskets"),
        (
            lambda shop: None,
            'is still to come. Take a snapshot before, and go back after: shop.machine.snapshot("before"',
        ),
        (lambda shop: shop.upgrade(), "before the upgrade. Take a snapshot before, and go back after"),
        (lambda shop: shop.snapshot("before"), "no attribute 'snapshot'. What there is: shop.upgrade(), shop.machine."),
        (lambda shop: shop.machine.snapshot("before", kind="warm"), "internal, external, disk-only"),
        (lambda shop: shop.machine.revert(), "Your steps ended early"),
        (lambda shop: shop.machine.snapshot("before"), "only qcow2"),
        (lambda shop: (shop.upgrade(), shop.upgrade()), "already"),
        (5, "needed"),
    ],
)
def test_everything_else_is_told_what_is_missing(what, said):
    verdict = restored_goal(VALUES, what, "simulated")
    assert not verdict.done and said in verdict.said
