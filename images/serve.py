"""The load of a guest that is told what to do and when: a counter with a bell, and a clerk behind it for each vCPU.

``labkit.live.served`` puts a directory into the guest and starts this program on it. There are

``schedule``
    one line for each piece of work: its number, when it comes in seconds from the go, and how many rounds of a fixed
    loop it takes. Lines are of one length, and all clerks read from one open file: whoever is free takes the next
    line, so that nothing is served twice and whoever came first is served first.
``book``
    one line for each thing that happened: a number, when it began and when it ended, in seconds of the guest's
    CLOCK_MONOTONIC. Numbers below zero are -1 ready, -2 go, -3 ended.
``control``
    a named pipe that the host writes words into, a line each: ``go``, ``clerks 2``, ``stop``.

Work is counted in rounds, not measured by a clock: a guest that is held up takes longer for it. In place of a schedule
it can be given a portion: then each clerk gets so many rounds every `PERIOD`, whether he is done with the last or not.

It imports only what is built into Python, so that it starts soon where the processor is emulated.
"""

import os
import sys
import time

PERIOD = 0.1  # seconds from one portion to the next, as in labkit.model.loads
LINE = 41  # bytes of a line of the schedule
STEP = 0.02  # of a portion's period; so often a clerk with a portion looks up from his work


def burn(rounds: int) -> None:
    """Do some work."""
    for _ in range(rounds):
        pass


def write(book: int, number: int, began: float, ended: float) -> None:
    """Write a line into the book; the kernel puts it behind all others as one piece (open(2), O_APPEND)."""
    os.write(book, b"%8d %15.6f %15.6f\n" % (number, began, ended))


def serve(schedule: int, book: int, go: float) -> None:
    """Take one request after another until there is none."""
    while line := os.read(schedule, LINE):
        number, comes, rounds = line.split()
        if (early := go + float(comes) - time.monotonic()) > 0:
            time.sleep(early)
        began = time.monotonic()
        burn(int(rounds))
        write(book, int(number), began, time.monotonic())


def work_by_portions(portion: int, most: int, go: float) -> None:
    """Get a portion of work every `PERIOD`, and do it; what is left undone waits, up to `most` rounds."""
    left, due = 0, go + PERIOD * int.from_bytes(os.urandom(2), "big") / 65536  # each clerk's post comes when it comes
    step = max(1, int(portion * STEP))
    while True:
        now = time.monotonic()
        while due <= now:
            left = min(left + portion, most)
            due += PERIOD
        if left > 0:
            burn(min(left, step))
            left -= step
        else:
            time.sleep(max(0.0, due - time.monotonic()))


def hire(clerk: int, files: tuple[int, int, int], portion: list[int], starts: int, go: float) -> int:
    """Make a process that works on one vCPU and, where the schedule ends, says so; return its number.

    With `starts` it first waits there for the time of the go, else that is `go`.
    """
    schedule, book, control = files
    process = os.fork()
    if process:
        return process
    os.sched_setaffinity(0, {clerk})
    burn(portion[0] if portion else 20000)  # an emulator translates a program when it first runs
    if starts >= 0:
        os.write(control, b"here\n")
        go = float(os.read(starts, 20))
    if portion:
        work_by_portions(portion[0], portion[1], go)
    serve(schedule, book, go)
    os.write(control, b"done\n")
    os._exit(0)


def main(place: str, wanted: int, portion: list[int]) -> None:
    """Make ready, wait for the go, and stay until all is done or the host says stop."""
    os.mkfifo(place + "/control")
    control = os.open(place + "/control", os.O_RDWR)
    book = os.open(place + "/book", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    schedule = os.open("/dev/null" if portion else place + "/schedule", os.O_RDONLY)
    files = (schedule, book, control)
    starts, tell = os.pipe()
    clerks = [hire(clerk, files, portion, starts, 0.0) for clerk in range(wanted)]
    here, done, go, rest = 0, 0, 0.0, b""
    while not go or done < len(clerks):
        *words, rest = (rest + os.read(control, 512)).split(b"\n")
        for word in words:
            if word == b"here":
                here += 1
                if here == wanted:
                    write(book, -1, time.monotonic(), 0.0)
            elif word == b"go" and not go:
                go = time.monotonic()
                write(book, -2, go, 0.0)
                for _ in clerks:
                    os.write(tell, b"%20.9f" % go)
            elif word == b"done":
                done += 1
            elif word.startswith(b"clerks"):
                where = -1 if go else starts
                clerks += [hire(clerk, files, portion, where, go) for clerk in range(len(clerks), int(word.split()[1]))]
            elif word == b"stop":
                for clerk in clerks:
                    os.kill(clerk, 9)
                done = len(clerks)
                go = go or time.monotonic()
    for clerk in clerks:
        os.waitpid(clerk, 0)
    write(book, -3, time.monotonic(), 0.0)


if __name__ == "__main__":
    if sys.argv[1] == "burn":
        burn(int(sys.argv[2]))
    else:
        main(sys.argv[1], int(sys.argv[2]), [int(word) for word in sys.argv[3:]])
