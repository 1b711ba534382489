"""`labkit doctor`, `clean`, `image` and `bench`: what concerns this machine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.commands import Answer, stages, tell

__all__ = ["bench", "clean", "doctor", "image_build", "image_status"]


def doctor(_args: Namespace) -> Answer:
    """Say what this machine can do, from trying it."""
    from labkit.live import doctor as examine

    tell("Trying what this machine can do; the first time a guest is booted for it.")
    report = examine()
    return Answer(report.as_json(), report.text)


def clean(args: Namespace) -> Answer:
    """Remove what labkit created."""
    from labkit.live import clean as sweep

    found = list(sweep(args.dry_run))
    verb = "Would remove" if args.dry_run else "Removed"
    document = {
        "dry_run": args.dry_run,
        "removed": [] if args.dry_run else found,
        "would_remove": found if args.dry_run else [],
    }
    return Answer(document, lambda: "\n".join(f"{verb} {what}" for what in found) or "Nothing to remove.")


def image_build(_args: Namespace) -> Answer:
    """Make the guest's image."""
    from labkit.live import image

    image.build(stages())
    return image_status(_args)


def image_status(_args: Namespace) -> Answer:
    """Say what there is of the guest's image."""
    from labkit.live import image

    status = image.status()
    return Answer(status, lambda: "\n".join(_described(status)))


def _described(status: Mapping[str, Any]) -> Iterator[str]:
    for name, value in status.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {part} {what}" for part, what in value.items())
        elif value not in ("", None):
            yield f"{name}: {value}"


def bench(args: Namespace) -> Answer:
    """Measure how fast it is here."""
    from labkit.bench import measure

    report = measure(rounds=3 if args.quick else 10, browser=args.browser, tell=tell)
    return Answer(report.as_json(), report.text, status=report.status, complaint=report.complaint)
