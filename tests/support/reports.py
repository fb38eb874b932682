"""Reports, to compare."""

from typing import Any

from neuroprune import Report


def measured(report: Report) -> dict[str, Any]:
    """All of a report but when it was made and how long that took."""
    return report.model_dump(exclude={"date", "durations_s"})
