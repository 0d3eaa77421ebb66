"""Whether a tool is free."""

from datetime import timedelta


def overlaps(one, other):
    """Whether two spans need the tool at the same time."""
    return one.first < other.last and other.first < one.last


def blocking_hire(hires, tool, span):
    """The earliest open hire of the tool that stands in the way of the span, or None."""
    in_the_way = [
        hire
        for hire in hires
        if hire.tool == tool and not hire.returned and overlaps(hire.span, span)
    ]
    return min(in_the_way, key=lambda hire: hire.span, default=None)


def is_free(hires, tool, span):
    """Whether the tool can be hired for the whole span."""
    return blocking_hire(hires, tool, span) is None


def next_free_day(hires, tool, day):
    """The first day, from `day` on, on which the tool is in the shop."""
    open_spans = sorted(hire.span for hire in hires if hire.tool == tool and not hire.returned)
    for span in open_spans:
        if day in span:
            day = span.last + timedelta(days=1)
    return day
