"""What the experiments' theory is compared with: the same questions, answered by other means."""

import math
import random


def poured(demands, weights, capacity):
    """Weighted max-min fairness: one level is raised, by bisection, until the CPUs are full or everybody has enough."""
    low, high = 0.0, max(demand / weight for demand, weight in zip(demands, weights, strict=True))

    def parts(level):
        return [min(demand, weight * level) for demand, weight in zip(demands, weights, strict=True)]

    if sum(parts(high)) <= capacity:
        return parts(high)
    for _ in range(300):
        level = (low + high) / 2
        low, high = (level, high) if sum(parts(level)) < capacity else (low, level)
    return parts(low)


def capped_turns(caps, cpus, offsets, steps=1000, warm=40, counted=4):
    """Spinning machines with quotas, walked through in small steps, every machine's period beginning at its own offset.

    Gives (cpu, ready, throttled) of each, over whole periods after a warm-up. It is long, as machines whose caps only
    just hold go on for many periods before each repeats itself.
    """
    left = list(caps)
    books = [[0.0, 0.0, 0.0] for _ in caps]
    for step in range((warm + counted) * steps):
        for place, offset in enumerate(offsets):
            if step % steps == offset:
                left[place] = caps[place]
        active = [place for place, quota in enumerate(left) if quota > 1e-9]
        speed = min(1.0, cpus / len(active)) if active else 0.0
        for place in range(len(caps)):
            ran = min(speed / steps, left[place]) if place in active else 0.0
            left[place] -= ran
            if step >= warm * steps:
                books[place][0] += ran / counted
                books[place][1 if place in active else 2] += (1 / steps - ran) / counted
    return books


def birth_and_death(servers, rate, service):
    """The mean response of M/M/c from the chain of how many are there: its states summed up, and Little's law."""
    weight, total, weighted = 1.0, 1.0, 0.0
    for number in range(1, 20_000):
        weight *= rate * service / min(number, servers)
        total += weight
        weighted += number * weight
        if weight < 1e-18 * total and number > servers:
            break
    return weighted / total / rate


def queue(servers, rate, service, requests, seed):
    """The mean response of one run of a first-come, first-served queue, by looking for the clerk who is free first."""
    draw = random.Random(seed)
    free, now, total = [0.0] * servers, 0.0, 0.0
    for _ in range(requests):
        now += draw.expovariate(rate)
        clerk = min(range(servers), key=free.__getitem__)
        free[clerk] = max(free[clerk], now) + draw.expovariate(1 / service)
        total += free[clerk] - now
    return total / requests


def spread(servers, rate, service, requests, runs):
    """The standard deviation of the mean response of so many requests, from independent runs."""
    means = [queue(servers, rate, service, requests, seed) for seed in range(runs)]
    middle = sum(means) / runs
    return math.sqrt(sum((mean - middle) ** 2 for mean in means) / (runs - 1))


def luck(rate, service, seconds):
    """The standard deviation of the CPU that random requests ask for in a stretch of time: compound Poisson."""
    return service * math.sqrt(2 * rate / seconds)
