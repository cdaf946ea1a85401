"""Pictures of a judging: correlations as bars, and how the lips of some clips went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.timeline import MOTION_RATE_HZ
from training.evaluate.judge import Row


def draw_correlations(path: Path, rows: Sequence[Row], groups: Sequence[str]) -> None:
    """Bars of the lip-gap correlation by driver, one colour per group; needs matplotlib."""
    plt = _pyplot()
    names = list(dict.fromkeys(row.driver for row in rows if row.driver not in ("shut",)))
    figure, axes = plt.subplots(figsize=(10, 4))
    wide = 0.8 / max(len(groups), 1)
    for k, group in enumerate(groups):
        by = {row.driver: row.correlation_video for row in rows if row.group == group}
        places = [i for i, name in enumerate(names) if by.get(name) is not None]
        heights = [float(by[names[i]] or 0) for i in places]
        axes.bar([i + (k - (len(groups) - 1) / 2) * wide for i in places], heights, wide, label=group)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("lip-gap correlation")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    _finish(plt, figure, path)


def draw_gaps(path: Path, scenes: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> None:
    """One panel per scene, one line per driver: the gap at 50 Hz in % of u; the first line of each is the real one."""
    plt = _pyplot()
    figure, panels = plt.subplots(len(scenes), 1, figsize=(11, 2.4 * len(scenes)), squeeze=False)
    for axes, (scene, lines) in zip(panels[:, 0], scenes.items(), strict=True):
        for k, (name, gap) in enumerate(lines.items()):
            style: dict[str, Any] = {"color": "black", "linewidth": 2} if k == 0 else {"linewidth": 1.2}
            axes.plot(np.arange(len(gap)) / MOTION_RATE_HZ, 100 * gap, label=name, **style)
        axes.set_ylabel("gap, % of u")
        axes.set_title(scene, loc="left", fontsize=9)
        axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False, ncol=5, fontsize=8)
    panels[-1, 0].set_xlabel("s")
    _finish(plt, figure, path)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _finish(plt: Any, figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
