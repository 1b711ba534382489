import threading

import pytest

from labkit.views.latest import Latest


def test_it_does_what_it_is_asked():
    done = []
    latest = Latest(done.append)
    latest.ask(1)
    latest.ask(2)
    assert done == [1, 2]


def test_wishes_overtaken_meanwhile_are_dropped():
    done, begun, go_on = [], threading.Event(), threading.Event()

    def work(wish):
        done.append(wish)
        if wish == 1:
            begun.set()
            assert go_on.wait(5)

    latest = Latest(work)
    first = threading.Thread(target=latest.ask, args=(1,))
    first.start()
    assert begun.wait(5)
    for wish in (2, 3, 4):
        latest.ask(wish)  # returns at once: the first thread is at work
    go_on.set()
    first.join(5)
    assert done == [1, 4]


def test_a_failure_does_not_block_what_comes_after():
    done = []

    def work(wish):
        if wish == 1:
            raise ValueError
        done.append(wish)

    latest = Latest(work)
    with pytest.raises(ValueError):
        latest.ask(1)
    latest.ask(2)
    assert done == [2]


def test_from_many_threads_the_last_wish_is_done_and_only_one_works_at_a_time():
    done, inside, most = [], [], []

    def work(wish):
        inside.append(wish)
        most.append(len(inside))
        done.append(wish)
        inside.remove(wish)

    latest = Latest(work)
    threads = [threading.Thread(target=lambda k=k: [latest.ask(100 * k + n) for n in range(1, 100)]) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    latest.ask(-1)
    assert done[-1] == -1
    assert max(most) == 1
