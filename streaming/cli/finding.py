"""What a doctor's check found, and how it is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Check = Callable[[], "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was looked at.
        state: "ok", "optional" (something works less well, or not at all until the cure) or "missing" (mien cannot run).
        detail: what was found.
        cure: the command, or the deed, that mends it; empty when all is well.
    """

    name: str
    state: str
    detail: str
    cure: str = ""


def found(checks: Mapping[str, Check]) -> list[Finding]:
    """Every check in turn; one that fails itself is a finding too."""
    findings: list[Finding] = []
    for name, check in checks.items():
        try:
            findings.append(check())
        except Exception as error:  # a doctor that falls ill must still report the rest
            line = f"the check failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            findings.append(Finding(name, "optional", line, "report this, with the lines above and below"))
    return findings


def told(findings: Sequence[Finding]) -> str:
    """The findings as lines."""
    width = max(len(finding.name) for finding in findings)
    marks = {"ok": "ok  ", "optional": "note", "missing": "MISS"}
    lines: list[str] = []
    for finding in findings:
        first, *rest = finding.detail.split("\n")
        lines.append(f"{marks[finding.state]}  {finding.name:{width}}  {first}")
        lines += [f"      {'':{width}}  {line}" for line in rest]
        if finding.cure:
            lines.append(f"      {'':{width}}  -> {finding.cure}")
    return "\n".join(lines)
