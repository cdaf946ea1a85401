"""Judging PD-FGC: the protocols by what is asked of the networks, the figures by films that are known, the command whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from engine.contract.motion import CHANNELS, Channel  # noqa: E402
from engine.errors import ModelError  # noqa: E402
from engine.render.pdfgc.face import Appearance  # noqa: E402
from engine.render.pdfgc.latent import FACTORS, Gains, Latents  # noqa: E402
from engine.rig import archive  # noqa: E402
from export.pdfgc import write_all  # noqa: E402
from tests.training.pdfgc_fakes import SIZE, TINY, clips  # noqa: E402
from tests.training.test_pdfgc_matrix import VALUES, write  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.evaluate.likeness import Image, Landmarks  # noqa: E402
from training.evaluate.pdfgc import trained_how  # noqa: E402
from training.evaluate.pdfgc_films import Cast, Truth, Watcher, crossed, frozen, one_followed, self_driven  # noqa: E402
from training.evaluate.pdfgc_given import Given, confidence, frechet, lip_sync_confidence, mfcc, onto  # noqa: E402
from training.evaluate.pdfgc_models import AS_TRAINED, Floats, FromPictures, OnnxModel, TorchModel, only  # noqa: E402
from training.evaluate.pdfgc_scores import Figures, Film, compared, features, figures_of, mean, with_lips  # noqa: E402
from training.networks.pdfgc import bundle  # noqa: E402
from training.pdfgc.clips import ClipError, DrawnClips, save_clip  # noqa: E402
from training.pdfgc.networks import Networks  # noqa: E402
from training.synthesis.factors import Pools  # noqa: E402
from training.synthesis.measures import Measured  # noqa: E402
from training.synthesis.plan import group_rows, random_rows  # noqa: E402
from training.synthesis.store import assemble  # noqa: E402

PORTRAIT = Path(__file__).parents[2] / "engine/models/portraits/mei.mien"


class FakeWatcher(Watcher):
    """Sees a face in every picture: the same one, whose lips are as wide open as its mouth is dark."""

    def __init__(self) -> None:
        face = archive.load(PORTRAIT).landmarks.astype(np.float32)
        self._face = (face - face.min(0)) / np.float32(np.ptp(face[:, 0]))

    def landmarks(self, film: Image) -> Landmarks:
        """See `Watcher`."""
        side = film.shape[1]
        out = np.repeat(self._face[None] * np.float32(side), len(film), 0)
        mouth = film[:, side * 5 // 8 : side * 7 // 8]
        out[:, [14, 17, 84, 314], 1] += (255 - mouth.mean((1, 2, 3)))[:, None] * np.float32(side / 600)
        return out


class Echo:
    """Networks whose latents are the numbers of the pictures, and that keep what they are asked to draw."""

    size = seen = SIZE
    gains = Gains(2, 1, 1, 1)

    def __init__(self) -> None:
        self.asked: list[Floats] = []

    def appearance(self, rgb: Image) -> Appearance:
        return Appearance(np.zeros(16, np.float32), np.zeros((1, 16, 4, 4), np.float32))

    def lips(self, windows: Floats) -> Floats:
        return np.repeat(windows.mean((1, 2, 3))[:, None], 500, 1)

    def lips_seen(self, rgb: Image) -> Floats:
        return np.repeat(grey(rgb)[:, None], 500, 1)

    def motion(self, rgb: Image) -> tuple[Floats, Floats, Floats]:
        expression, eyes, pose = (np.repeat(grey(rgb)[:, None], length, 1) for length in (30, 6, 6))
        return expression, eyes, pose

    def draw(self, who: Appearance, codes: Floats) -> Image:
        self.asked.append(codes)
        return np.zeros((len(codes), SIZE, SIZE, 3), np.uint8)


def grey(rgb: Image) -> Floats:
    return rgb.mean((1, 2, 3)).astype(np.float32)


def greys(pictures: Image, rest: Image) -> Measured:
    """Measures how bright five bands of a picture are, so that no eye counts as shut."""
    assert rest.shape == pictures.shape[1:]
    return tuple(grey(band)[:, None] / np.float32(1000) for band in np.array_split(pictures, 5, 1))


@pytest.fixture(scope="module")
def watcher() -> Watcher:
    return FakeWatcher()


@pytest.fixture(scope="module")
def truths(watcher: Watcher) -> list[Truth]:
    source = DrawnClips(clips(frames=30))
    return [Truth.of(source.clip(index), SIZE, SIZE, 22, watcher) for index in (0, 1)]


def part(codes: Floats, name: str) -> Floats:
    return codes[
        :, {"lips": slice(0, 500), "expression": slice(500, 530), "eyes": slice(530, 536), "pose": slice(536, 542)}[name]
    ]


def test_a_clip_drives_itself_from_its_first_frame_that_is_heard(truths: list[Truth]) -> None:
    truth, model = truths[0], Echo()
    assert len(truth) == len(truth.windows) == 20
    assert len(truth.sound) == 640 * 20
    cast = Cast.of(model, truth)
    self_driven(model, cast)
    frozen(model, cast)
    driven, held = model.asked
    assert part(driven, "expression")[:, 0] == pytest.approx(grey(truth.seen))
    assert part(held, "expression")[:, 0] == pytest.approx(np.full(20, grey(truth.first[None])[0]))
    for name in ("lips", "eyes", "pose"):
        assert np.array_equal(part(driven, name), part(held, name))


def test_across_clips_only_the_lips_stay(truths: list[Truth]) -> None:
    model = Echo()
    own, other = (Cast.of(model, truth) for truth in truths)
    for film in (lambda: self_driven(model, own), lambda: self_driven(model, other), lambda: crossed(model, own, other)):
        film()
    first, second, across = model.asked
    assert np.array_equal(part(across, "lips"), part(first, "lips"))
    for name in ("expression", "eyes", "pose"):
        assert np.array_equal(part(across, name), part(second, name))


@pytest.mark.parametrize("alone", [False, True])
def test_one_factor_follows_and_the_rest_stays(truths: list[Truth], *, alone: bool) -> None:
    model = Echo()
    own, other = (Cast.of(model, truth) for truth in truths)
    assert list(one_followed(model, own, other, [3, 7, 12], alone=alone)) == list(FACTORS)
    self_driven(model, other)
    *sheets, whole = model.asked
    rest = np.zeros(542) if alone else Latents(own.latents.lips[:1], *own.first).joined(model.gains)[0]
    for factor, codes in zip(FACTORS, sheets, strict=True):
        moved = only(factor) > 0
        assert np.array_equal(codes[:, moved], whole[[3, 7, 12]][:, moved])
        assert np.allclose(codes[:, ~moved], rest[~moved])
    assert np.array_equal(sum(only(factor) for factor in FACTORS), np.ones(542, np.float32))


def test_five_pictures_give_five_factors() -> None:
    drivers = np.zeros((1, 5, SIZE, SIZE, 3), np.uint8) + np.array([1, 2, 3, 4, 5], np.uint8)[None, :, None, None, None]
    model = Echo()
    FromPictures(model)(drivers[0, 0], drivers)  # type: ignore[arg-type]
    (code,) = model.asked[0]
    assert (code[:500] == 2 * 1).all()
    assert (code[500:530] == 5).all()
    assert code[530:].tolist() == [4, 4, 3, 3, 4, 4] + [2] * 6


def test_a_film_that_is_the_clip_has_no_error_and_one_that_stands_still_has(truths: list[Truth], watcher: Watcher) -> None:
    truth, driver = truths
    same, still = Film.of(truth.pictures, watcher), Film.still(truth.still, len(truth), watcher)
    best = figures_of(truth, same, same, Film.of(driver.pictures, watcher), driver, Given())
    for name in ("lmd", "lmd_m", "lmd_px", "ard", "pose", "expression", "l1", "frozen_lmd_m"):
        assert getattr(best, name) == pytest.approx(0, abs=1e-6), name
    assert best.ssim == pytest.approx(1)
    assert (best.frames, best.unseen) == (20, 0)
    assert best.crossed < 1e-3
    assert np.isnan([best.fid, best.csim, best.lse_c, best.nlse_c]).all()
    worse = figures_of(truth, still, still, None, None, Given())
    assert worse.lmd_m > 0.002
    assert worse.frozen_lmd_m_px == worse.lmd_m_px > 0
    assert worse.l1 > best.l1
    assert np.isnan(worse.crossed)


def test_lips_read_are_0_of_the_film_itself_and_1_of_a_mouth_that_rests(truths: list[Truth], watcher: Watcher) -> None:
    truth, given = truths[0], Given(observer=Echo().lips_seen)
    same, still = Film.of(truth.pictures, watcher), Film.still(truth.still, len(truth), watcher)
    (found,) = with_lips({0: figures_of(truth, same, still, None, None, given)}).values()
    assert found.lips == 0
    assert found.frozen_lips == pytest.approx(1, abs=1e-4)
    louder = Film(np.clip(truth.pictures.astype(int) + 9, 0, 255).astype(np.uint8), same.landmarks)
    assert with_lips({0: figures_of(truth, louder, same, None, None, given)})[0].lips < 0.2


def test_a_quiet_clip_counts_for_the_little_that_its_lips_do() -> None:
    rows = {
        1: Figures(9, 0, lips_error=2.0, frozen_lips_error=3.0, lips_variance=4.0),
        2: Figures(9, 0, lips_error=0.5, frozen_lips_error=0.5, lips_variance=0.0),
        3: Figures(9, 0),
    }
    lips = with_lips(rows)
    assert (mean([*lips.values()]).lips, mean([*lips.values()]).frozen_lips) == (2.5 / 4, 3.5 / 4)
    assert compared(lips, with_lips({1: rows[1], 2: rows[1]}))["lips"].clips == 2
    assert np.isnan(with_lips({3: rows[3]})[3].lips)


def test_films_without_a_face_keep_what_needs_none(truths: list[Truth]) -> None:
    truth = truths[0]
    nobody = Film(truth.pictures, np.full_like(truth.landmarks, np.nan))
    found = figures_of(truth, nobody, nobody, nobody, truth, Given())
    assert found.unseen == 20
    assert found.l1 == 0
    assert np.isnan([found.lmd, found.pose, found.frozen_lmd_m, found.crossed]).all()


def test_controls_are_read_against_the_person_at_rest_where_that_is_known(watcher: Watcher) -> None:
    clip = DrawnClips(clips(frames=30)).clip(0)
    calm = clip.read([int(clip.motion[:, Channel["jawOpen"]].argmin())], SIZE)[0]
    wide = clip.read([int(clip.motion[:, Channel["jawOpen"]].argmax())], SIZE)[0]
    read = [Truth.of(clip, SIZE, SIZE, 22, watcher, rest).motion[:, Channel["jawOpen"]].mean() for rest in (calm, wide)]
    assert read[0] > 1.5 * read[1]


def test_means_are_of_what_was_measured() -> None:
    whole = mean([Figures(10, 1, lmd=1.0), Figures(20, 0, lmd=3.0), Figures(5, 5)])
    assert (whole.frames, whole.unseen, whole.lmd) == (35, 6, 2.0)
    assert np.isnan(whole.pose)
    assert replace(whole, lse_c=6.0, real_lse_c=8.0).nlse_c == pytest.approx(0.25)


def test_candidates_are_compared_on_the_clips_that_both_have() -> None:
    own = {1: Figures(9, 0, l1=0.3), 2: Figures(9, 0, l1=0.5), 3: Figures(9, 0, l1=0.9), 4: Figures(9, 0)}
    other = {1: Figures(9, 0, l1=0.2), 2: Figures(9, 0, l1=0.2), 4: Figures(9, 0, l1=0.2)}
    away = compared(own, other)["l1"]
    assert (away.mean, away.error, away.clips) == (pytest.approx(0.2), pytest.approx(0.1), 2)
    assert "lmd" not in compared(own, other)


def test_fid_of_gaussians_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20000, 3)), rng.normal(2, 3, (20000, 3))
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(3 * (2**2 + (3 - 1) ** 2), rel=0.03)


def test_lips_that_follow_the_sound_are_sure_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(0, 1, (60, 16))
    late = np.roll(seen, 3, axis=0)
    assert confidence(seen, late) > 4
    assert confidence(seen, rng.normal(0, 1, (60, 16))) < 0.5


def test_sync_windows_are_five_frames_and_their_sound() -> None:
    asked: list[tuple[int, ...]] = []

    def network(mouths: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        asked.extend([tuple(mouths.shape), tuple(sound.shape)])
        return mouths.mean((2, 3, 4)), sound[:, 0, :3, 0]

    film, sound = np.zeros((26, SIZE, SIZE, 3), np.uint8), np.ones(26 * 640, np.int16)
    assert np.isfinite(lip_sync_confidence(network, film, sound))
    assert asked == [(16, 3, 5, 224, 224), (16, 1, 13, 20), (5, 3, 5, 224, 224), (5, 1, 13, 20)]
    assert np.isnan(lip_sync_confidence(network, film[:5], sound))


def test_mfcc_is_that_of_the_public_package() -> None:
    n = np.arange(1600)
    tones = 8000 * np.sin(2 * np.pi * 440 * n / 16000) + 2000 * np.sin(2 * np.pi * 3000 * n / 16000)
    known = [
        20.3227,
        7.4016,
        -9.1164,
        23.9327,
        -40.5033,
        -46.9639,
        5.9842,
        -30.8569,
        -17.2659,
        40.2707,
        8.2695,
        5.6547,
        33.3069,
    ]
    assert mfcc(tones.astype(np.int16))[3] == pytest.approx(known, abs=1e-3)  # python_speech_features 0.6
    assert mfcc(np.zeros(16640, np.int16)).shape == (103, 13)


def test_networks_that_were_given_give_their_figures(truths: list[Truth], watcher: Watcher) -> None:
    truth = truths[0]
    same = Film.of(truth.pictures, watcher)
    given = Given(
        arcface=lambda rgb: rgb.mean((2, 3)) + 2,
        syncnet=lambda mouths, sound: (mouths.mean((2, 3, 4)), sound[:, 0, :3, 0]),
    )
    found = figures_of(truth, same, same, None, None, given)
    assert found.csim == pytest.approx(1, abs=0.02)
    assert found.nlse_c == found.frozen_nlse_c == 0
    assert [line.split(":")[0] for line in given.missing()] == ["FID", "lips read"]


class Colours(nn.Module):
    """Stands for Inception: the mean colours of pictures that have its size."""

    def forward(self, rgb: Tensor) -> Tensor:
        return rgb.mean((2, 3))


def test_a_network_is_a_file(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch")
    torch.export.save(
        torch.export.export(Colours().eval(), (torch.zeros(2, 3, 299, 299),), dynamic_shapes=({0: batch},)),
        tmp_path / "fid.pt2",
    )
    given = Given.load(tmp_path / "fid.pt2", None, None, "cpu")
    film = np.full((18, SIZE, SIZE, 3), (0, 51, 255), np.uint8)
    (found,) = features(given, film)
    assert found == pytest.approx(np.tile([-1, -0.6, 1], (18, 1)), abs=1e-5)
    assert given.missing() == [
        "CSIM: not measured: give --csim-network",
        "LSE-C and NLSE-C: not measured: give --sync-network",
        "lips read: not measured: give --observer",
    ]
    (tmp_path / "no.pt2").write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"no\.pt2 is no program"):
        Given.load(None, tmp_path / "no.pt2", None, "cpu")


def test_points_are_brought_onto_others() -> None:
    points = np.array([(0.0, 0), (1, 0), (0, 2), (3, 1)])
    turn = np.array([[0.6, -0.8, 5], [0.8, 0.6, -2]])
    assert onto(points, points @ turn[:, :2].T + turn[:, 2]) == pytest.approx(turn)


def test_a_run_and_its_export_draw_the_same(tmp_path: Path, truths: list[Truth]) -> None:
    torch.manual_seed(0)
    networks = Networks(TINY).eval()
    write_all(networks, tmp_path, AS_TRAINED)
    ours, live = TorchModel.load(tmp_path), OnnxModel.load(tmp_path)
    assert (ours.size, ours.seen, ours.gains) == (live.size, live.seen, live.gains) == (SIZE, SIZE, AS_TRAINED)
    films = [self_driven(model, Cast.of(model, truths[0])).astype(int) for model in (ours, live)]
    assert np.abs(films[0] - films[1]).max() <= 1
    assert films[0].std() > 1


def write_set(folder: Path, split: str = "test") -> Path:
    source = DrawnClips(clips(frames=30))
    rows = []
    for index, count in enumerate((30, 30, 12)):  # the last one is too short
        clip, path = source.clip(index), folder / f"{index}.npz"
        save_clip(path, list(clip.read(range(count), SIZE)), clip.motion[:count], clip.eyes[:count], clip.sound[: 640 * count])
        rows.append({"path": f"{index}.npz", "person": clip.person, "split": split})
    (folder / "index.json").write_text(json.dumps(rows))
    return folder


def test_the_command_judges_several_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.evaluate.pdfgc.Watcher", FakeWatcher)
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        runs.append(tmp_path / f"run{seed}")
        bundle.save(runs[-1] / "pdfgc.safetensors", TINY, Networks(TINY).state_dict())
    (tmp_path / "films").mkdir()
    options = ["--data", str(write_set(tmp_path / "films")), "--out", str(tmp_path / "out"), "--longest", "0.5", "--clips", "3"]
    options += ["--observer", str(runs[1])]
    assert main(["evaluate", "pdfgc", "--run", *map(str, runs), *options]) == 0
    said = capsys.readouterr()
    assert "FID: not measured: give --fid-network" in said.out
    assert "| PD-FGC | 12.99 | 7.26 |" in said.out
    assert "| Ground truth (MEAD) | - | 1.76 | 0 | 0 | 0 |" in said.out
    assert "ours: run1, on films" in said.out
    assert "driving [##########] 6/6" in said.err
    assert said.err.count("dropped films/run0: a clip of 2 has") == 1
    assert (tmp_path / "out/table.md").read_text() == said.out
    (found,) = json.loads((tmp_path / "out/figures.json").read_text())
    assert set(found["figures"]) == {"run0", "run1", "first frame, not moving"}
    assert found["figures"]["run0"]["l1"] > found["figures"]["first frame, not moving"]["l1"]
    assert found["figures"]["run0"]["fid"] is None
    assert found["figures"]["first frame, not moving"]["lips"] == pytest.approx(1, abs=1e-3)
    assert "Clip by clip, beyond run0" in said.out
    away = found["figures"]["run1"]["l1"] - found["figures"]["run0"]["l1"]
    assert found["differences"]["run1"]["l1"]["mean"] == pytest.approx(away, abs=1e-9)
    names = {path.name for path in (tmp_path / "out/films/run1").iterdir()}
    assert names == {f"{what}-{index}.png" for what in ("self-driving", "figure-3") for index in (0, 1)}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"stage": "pretrain", "ablation": "all", "window": 13}, " (stage pretrain)"),
        ({"stage": "3", "ablation": "none", "window": 13}, " (No dis, window 1)"),
        ({"stage": "3", "ablation": "decorrelation", "window": 13}, " (+ Decorr, window 1)"),
        ({"stage": "3", "ablation": "all", "window": 25}, " (All, window 25)"),
        ({"stage": "3"}, ""),
    ],
)
def test_a_run_is_told_by_what_it_was_taught_with(tmp_path: Path, options: dict[str, object], told: str) -> None:
    (tmp_path / "options.json").write_text(json.dumps({"options": options}))
    assert trained_how(tmp_path) == told
    assert trained_how(tmp_path / "none") == ""


def test_a_set_with_groups_has_a_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pools, rng = Pools(np.zeros((len(FACTORS), VALUES, len(CHANNELS)), np.float32)), np.random.default_rng(0)
    allowed = np.ones((len(FACTORS), VALUES), np.bool_)
    for kind, rows in (("stills", random_rows(allowed, 40, rng)), ("groups", group_rows(pools, allowed, 1, 2, rng))):
        assemble(tmp_path / kind, [write(tmp_path, rows, person, "test") for person in ("a", "b")])
    pools.save(tmp_path / "pools.npz")
    run, out = tmp_path / "run", tmp_path / "out"
    bundle.save(run / "pdfgc.safetensors", TINY, Networks(TINY).state_dict())
    (run / "options.json").write_text(json.dumps({"options": {"stage": "3", "ablation": "window", "window": 7}}))
    monkeypatch.setattr("training.evaluate.pdfgc.Tracked", lambda marks: greys)
    options = ["--data", str(tmp_path), "--out", str(out), "--people", "1"]
    assert main(["evaluate", "pdfgc", "--run", str(run), *options]) == 0
    said = capsys.readouterr()
    assert "disentanglement of run (+ In-win, window 7)" in said.out
    assert "disentanglement of run [##########] 1/1" in said.err
    assert (out / tmp_path.name / "run/matrix/matrix.png").exists()
    (found,) = json.loads((out / "figures.json").read_text())
    assert np.shape(found["matrices"]["run (+ In-win, window 7)"]) == (5, 5)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "give --run RUN, or --models DIR"),
        (["--run", "none"], "none/pdfgc.safetensors is missing"),
        (["--models", "none"], "there is no folder none of PD-FGC networks"),
    ],
)
def test_what_cannot_be_judged_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "pdfgc", "--data", "nowhere", *words]) == 1
    assert line in capsys.readouterr().err


def test_a_set_without_such_clips_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle.save(tmp_path / "pdfgc.safetensors", TINY, Networks(TINY).state_dict())
    write_set(tmp_path, "train")
    assert main(["evaluate", "pdfgc", "--data", str(tmp_path), "--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no test clips" in capsys.readouterr().err


def test_a_clip_that_is_too_short_is_refused(watcher: Watcher) -> None:
    with pytest.raises(ClipError, match="at least 10"):
        Truth.of(DrawnClips(clips(frames=12)).clip(0), SIZE, SIZE, 100, watcher)
