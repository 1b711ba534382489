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


def without_memory(shop):
    snapshot = shop.machine.snapshot("before", kind="external", memory=False)
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
        (lambda shop: None, "has not been started"),
        (lambda shop: shop.machine.snapshot("before"), "only qcow2"),
        (lambda shop: (shop.upgrade(), shop.upgrade()), "already"),
        (5, "needed"),
    ],
)
def test_everything_else_is_told_what_is_missing(what, said):
    verdict = restored_goal(VALUES, what, "simulated")
    assert not verdict.done and said in verdict.said
