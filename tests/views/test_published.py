from dataclasses import dataclass

from labkit.experiments.memory_published import published
from labkit.views.published import published_table


@dataclass(frozen=True)
class Row:
    what: str = "A <number>"
    published: str = "75"
    ours: float | None = 75.0
    unit: str = "%"
    source: str = "Somebody, section 5"


def test_every_row_has_its_words_and_its_source():
    table = published_table([Row(), Row("Another", "", 179.123), Row("A third", "5 to 2000", None)])
    assert table.text.splitlines() == [
        "A <number>: published 75, ours 75 % (Somebody, section 5)",
        "Another: published –, ours 179.1 % (Somebody, section 5)",
        "A third: published 5 to 2000, ours – % (Somebody, section 5)",
    ]
    assert "A &lt;number&gt;" in table.html and "<number>" not in table.html


def test_the_lessons_table_is_complete():
    rows = published()
    table = published_table(rows)
    assert len(table.text.splitlines()) == table.html.count("<tr>") - 1 == len(rows)
    assert all(row.source in table.text for row in rows)
