"""Every training run that has a name, in one table: `python -m training NAME`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Preset:
    """A named run.

    Attributes:
        module: has `add_arguments(parser)` and `main(args) -> int`.
        summary: one line of help.
        options: defaults of that module's arguments, by their destination.
    """

    module: str
    summary: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])


PRESETS: Mapping[str, Preset] = {
    "voice": Preset("training.voice", "the mouth network that ships (about 20 minutes on two quiet cores)"),
    "voice-quick": Preset("training.voice", "the same for two minutes, to see that all is in place", {"steps": 150}),
    "expression-learner": Preset(
        "training.expression", "Rhythmic Head Motion's facial expression learner as published (section 3.2, A.2)"
    ),
    "expression-learner-narrow": Preset(
        "training.expression", "the same with strided convolutions over the raw sound", {"width": "narrow", "rate": 1e-3}
    ),
    "head-motion": Preset("training.head_motion", "the streaming head motion learner that ships", {"width": "live"}),
    "head-motion-published": Preset(
        "training.head_motion",
        "Rhythmic Head Motion's head motion learner, 50.7 M weights (section 3.3, A.1)",
        {"width": "published"},
    ),
    "face-landmarks": Preset("training.tracker.landmarks", "478 landmarks of a face (about an hour on two quiet cores)"),
    "face-eyes": Preset("training.tracker.eyes", "lids and irises, refined (a quarter of an hour)"),
    "face-lips": Preset("training.tracker.lips", "the mouth, refined (a quarter of an hour)"),
    "face-detector": Preset("training.tracker.detector", "where faces are in a picture (20 minutes on a quiet core)"),
    "face-matte": Preset("training.tracker.matte", "how much of each pixel is a person (15 minutes on a quiet core)"),
    "pdfgc": Preset("training.pdfgc.train", "PD-FGC's networks, stage by stage (section 3; pre-training takes hours on a CPU)"),
    "pdfgc-bridge": Preset("training.pdfgc.bridge", "controls to the latents of trained PD-FGC networks (minutes)"),
    "factor-judge": Preset("training.synthesis.judge", "what measures lips, gaze, blinks and expression in pictures"),
    "pdfgc-no-decorrelation": Preset("training.pdfgc.train", "Tab. 4, no dis", {"stage": "3", "ablation": "none"}),
    "pdfgc-window-only": Preset("training.pdfgc.train", "Tab. 4, + in-win", {"stage": "3", "ablation": "window"}),
    "pdfgc-decorrelation-only": Preset("training.pdfgc.train", "Tab. 4, + decorr", {"stage": "3", "ablation": "decorrelation"}),
    "pdfgc-window-7": Preset("training.pdfgc.train", "Tab. 5, size 7", {"stage": "3", "window": 7}),
    "pdfgc-window-25": Preset("training.pdfgc.train", "Tab. 5, size 25", {"stage": "3", "window": 25}),
    "eyes": Preset("training.eyes", "blinks and saccades fitted to captures (seconds)"),
}

COMMANDS: Mapping[str, Preset] = {
    "prepare": Preset("training.data.prepare", "folders of talking video -> aligned tracks"),
    "prepare-faces": Preset("training.tracker.prepare", "photos and video -> faces with landmarks, for the face tracker"),
    "pack-faces": Preset("training.tracker.pack", "a small copy of those faces, for another machine, and faces of a copy"),
    "prepare-factorial": Preset(
        "training.synthesis.prepare", "enrolled portraits -> faces that differ in one factor at a time"
    ),
    "pack-factorial": Preset("training.synthesis.pack", "a small copy of the factorial set, for another machine"),
    "prepare-pdfgc": Preset("training.pdfgc.prepare", "VoxCeleb2, MEAD or folders of video -> aligned clips with sound"),
    "judge-faces": Preset("training.tracker.judge", "landmark and eye networks on held-out people"),
    "speech": Preset("training.speech.prepare", "texts and recordings -> speech with phone times and articulation"),
    "articulation": Preset("training.speech.calibrate", "fit the articulation model to GRID's measured lips"),
    "expressions": Preset("training.data.expressions", "the rig's displacement fields, for reading faces (a second)"),
    "judge-detector": Preset("training.tracker.detector_judge", "faces missed and seen wrongly by the face detector"),
    "judge-matte": Preset("training.tracker.matte_judge", "the person matte against the teacher's on held-out people"),
    "evaluate": Preset("training.evaluate.command", "judge drivers on held-out people: tables, plots, clips"),
}
