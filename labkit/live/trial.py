"""A small program that does one thing over and over, and says how often it came to do it.

The same file runs on the host and in a guest (it is sent there as it is), so it imports nothing but what is built into
Python and knows nothing of labkit. Called with a kind, a number of seconds, a CPU, and a file to read from, it prints
how many times it did its thing, in how many seconds, and which Python ran it.
"""

import os
import sys
import time

BLOCK = 4096  # bytes of one read
LEAST = 0.01  # seconds of one batch; the clock is looked at between batches


def compute(batch: int) -> None:
    """Count."""
    for _ in range(batch):
        pass


def system_call(batch: int) -> None:
    """Ask the kernel for a number that it has at hand."""
    ask = os.getppid
    for _ in range(batch):
        ask()


class Disk:
    """Reads of one block after another, from the file's beginning when its end is reached."""

    def __init__(self, path: str) -> None:
        device = path.startswith("/dev/")
        # A guest's own cache would answer in the disk's place; a host's cache is what QEMU reads from too.
        self.file = os.open(path, os.O_RDONLY | (os.O_DIRECT if device else 0))
        self.blocks = os.lseek(self.file, 0, os.SEEK_END) // BLOCK
        self.next = 0
        self.room = self.aligned() if device else memoryview(bytearray(BLOCK))

    def aligned(self) -> memoryview:
        """Room in memory for a block that begins where the disk can write to; found by trying."""
        room = memoryview(bytearray(2 * BLOCK))
        for begin in range(0, BLOCK, 8):
            try:
                os.preadv(self.file, [room[begin : begin + BLOCK]], 0)
            except OSError:
                continue
            return room[begin : begin + BLOCK]
        sys.exit("the disk cannot be read past the cache")

    def __call__(self, batch: int) -> None:
        """Read."""
        room = [self.room]
        for _ in range(batch):
            if os.preadv(self.file, room, self.next * BLOCK) != BLOCK:
                sys.exit("the disk ended before its end")
            self.next = (self.next + 1) % self.blocks


def main(kind: str, seconds: float, cpu: int, path: str) -> None:
    """Do it for so many seconds."""
    os.sched_setaffinity(0, {cpu})
    do = {"compute": compute, "system-call": system_call}.get(kind) or Disk(path)
    batch, took = 1, 0.0
    while took < LEAST:  # also a round that does not count: an emulator translates a program when it first runs
        batch *= 2
        began = time.monotonic()
        do(batch)
        took = time.monotonic() - began
    done, began = 0, time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        do(batch)
        done += batch
    print(done, f"{now - began:.9f}", sys.version.split()[0])


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
