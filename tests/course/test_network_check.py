"""The auditor's list, on the simulated host: the traps that people step into, and the way that is right."""

import pytest

from labkit.course.checks.network import shop_goal

VALUES = {"rate": 6}
RIGHT = {
    "web": {"rules": "accept tcp 80, drop tcp"},
    "database": {"rules": "accept tcp 5432 from 10.0.0.1, drop any"},
    "wifi": {"rate": 6},
}


def told(**changed):
    return shop_goal(VALUES, {**RIGHT, **changed}, where="simulated")


def test_the_right_way():
    verdict = told()
    assert verdict.done and "The list comes out" in verdict.said and verdict.said.endswith("On the simulated host.")
    assert "Both at once, the Wi-Fi sends 6.0 Mbit/s and the shop 994 Mbit/s" in verdict.said  # of a cable of 1000
    assert shop_goal(VALUES, lambda: RIGHT, where="simulated").done


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"web": {"rules": "accept tcp 80"}}, "wifi reaches port 22 of web"),
        ({"web": {"rules": "drop tcp, accept tcp 80"}}, "internet does not reach port 80 of web"),
        ({"database": {}}, "wifi reaches port 5432 of database"),
        ({"database": {"rules": "drop any"}}, "web does not reach port 5432 of database"),
        ({"database": {"rules": "accept tcp 5432, drop any"}}, "internet reaches port 5432 of database"),
        ({"wifi": {}}, "500.0 Mbit/s and the shop 500 Mbit/s; the Wi-Fi is to have no more than 6 Mbit/s"),
        ({"wifi": {"rate": 2}}, "the Wi-Fi was promised 6 Mbit/s"),
        ({"web": {"rules": "accept tcp 80, drop tcp", "rate": 6}}, "the shop is to have 15 Mbit/s or more"),
        ({"wifi": {"rate": "fast"}}, "a number of Mbit/s"),
        ({"wifi": {"speed": 6}}, "has rules, or a rate"),
        ({"laptop": {"rate": 6}}, "A plan has web, database and wifi"),
        ({"web": {"rules": "let everybody in"}}, "A rule begins with accept, drop or reject, not 'let everybody in'."),
        ({"database": {"rules": "accept tcp 5432, drop"}}, "After 'drop' say what: any, icmp, tcp or udp"),
        ({"database": {"rules": "drop"}}, "That is in the rules of database."),
        ({"database": {"rules": "accept tcp from m1"}}, "After 'from' comes web, database, wifi or internet, or an"),
    ],
)
def test_traps(changed, said):
    verdict = told(**changed)
    assert not verdict.done and said in verdict.said


def test_a_sender_may_be_called_by_its_name():
    assert told(database={"rules": "accept tcp 5432 from web, drop any"}).done
    assert "web does not reach port 5432" in told(database={"rules": "accept tcp 5432 from wifi, drop any"}).said
