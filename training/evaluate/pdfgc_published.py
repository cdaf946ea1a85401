"""Published values of PD-FGC (Tables 1, 2, 4 and 5), to stand beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A table of the paper.

    Attributes:
        title: what it is, and on what data.
        columns: its figures, and the name of each among ours.
        rows: by method.
    """

    title: str
    columns: Mapping[str, str]
    rows: Mapping[str, Values]


_MOVED: Final = {"FID": "fid", "LSE-C": "lse_c", "NLSE-C": "nlse_c", "LMD_m": "lmd_m_px", "LMD": "lmd_px"}
_FROZEN: Final = {"LSE-C": "frozen_lse_c", "NLSE-C": "frozen_nlse_c", "LMD_m": "frozen_lmd_m_px", "Exp VoxCeleb2": "crossed"}

TABLES: Final = (
    Published(
        "Table 1, VoxCeleb2 (MEAD): self-driving",
        _MOVED,
        {
            "Ground truth": (None, 7.35, 0.0, 0.0, 0.0),
            "Wav2Lip": (None, 9.23, 0.183, 2.54, None),
            "MakeItTalk": (19.47, 2.03, 0.724, 2.82, 6.39),
            "PC-AVS": (14.36, 8.21, 0.117, 1.59, 2.52),
            "EAMM neutral": (26.06, 4.75, 1.699, 2.29, 4.18),
            "EAMM emotional": (27.20, 4.55, 1.585, 2.29, 4.29),
            "PD-FGC": (12.99, 7.26, 0.012, 1.15, 1.93),
            "Ground truth (MEAD)": (None, 1.76, 0.0, 0.0, 0.0),
            "Wav2Lip (MEAD)": (None, 9.17, 0.176, 2.54, None),
            "MakeItTalk (MEAD)": (68.35, 3.50, 0.524, 2.68, 2.56),
            "PC-AVS (MEAD)": (62.85, 8.04, 0.094, 2.28, 1.92),
            "EAMM neutral (MEAD)": (50.36, 5.34, 2.03, 2.32, 2.25),
            "EAMM emotional (MEAD)": (50.49, 5.23, 1.972, 2.28, 2.27),
            "PD-FGC (MEAD)": (73.80, 7.24, 0.015, 1.65, 1.84),
        },
    ),
    Published(
        "Table 2: cross-video expression and self-driving pose, mean squared error",
        {"Exp VoxCeleb2": "crossed", "Exp MEAD": "crossed", "Pose VoxCeleb2": "pose"},
        {
            "PC-AVS": (0.202, 0.245, 0.0038),
            "EAMM emotional": (0.196, 0.245, 0.0196),
            "EAMM neutral": (0.192, 0.248, 0.0203),
            "PD-FGC": (0.156, 0.188, 0.0016),
        },
    ),
    Published(
        "Table 4: frozen expression source, stage 3 with parts left out",
        {**_FROZEN, "Exp MEAD": "crossed"},
        {
            "No dis": (3.78, 0.486, 1.81, 0.151, 0.178),
            "+ In-win": (7.60, 0.034, 1.76, 0.159, 0.178),
            "+ Decorr": (7.02, 0.045, 1.66, 0.157, 0.173),
            "All": (7.30, 0.007, 1.27, 0.163, 0.179),
        },
    ),
    Published(
        "Table 5: the same by the window of in-window decorrelation",
        {**_FROZEN, "Exp MEAD": "crossed"},
        {
            "7": (7.01, 0.046, 1.81, 0.163, 0.179),
            "13": (7.30, 0.007, 1.27, 0.163, 0.179),
            "25": (7.23, 0.016, 1.32, 0.164, 0.178),
        },
    ),
)

DIFFERENCES: Final = """\
- The data differ: theirs are test films of VoxCeleb2 and MEAD, ours the clips named above. What can be compared is the order
  of rows within a table, not the size of values between theirs and ours.
- LMD and LMD_m: ours are px of a 224 px picture, 468 and 40 landmarks of our own tracker, centroids removed, mean over the
  points; the paper names neither its detector nor its scale.
- Pose: ours is the squared error of yaw, pitch and roll in radians by our reader; theirs that of the coefficients of a
  network for 3D reconstruction (Deng et al.), which cannot be had.
- Expression: ours is the squared error of our reader's controls of brows, cheeks, nose and smile, each 0..1; theirs that of
  the same network's 64 coefficients.
- NLSE-C: ours is relative to the real clips, theirs to the training data."""
