"""`mien bench --quick`: its suites run, their last line keeps the contract, an injected stall shows. No figure is judged."""

import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import run
from benchmarks.metrics import NAMES
from tests.unit import sounds

pytestmark = pytest.mark.slow

DISTRIBUTION = {"p1", "p50", "p95", "p99", "max", "n"}


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Syllables of changing length, six seconds of them."""
    rng = np.random.default_rng(5)
    sound = np.concatenate([sounds.syllables(1, float(rate), lead_s=0.0) for rate in rng.uniform(2.5, 5.0, 20)])
    file = tmp_path_factory.mktemp("bench") / "voice.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, sounds.RATE, len(sound), "NONE", ""))
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return file


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the object of the last line, and all that was printed."""
    status = run.main(list(words))
    printed = capsys.readouterr().out
    found = json.loads(printed.splitlines()[-1])
    assert set(found) == {"suite", "environment", "settings", "metrics"}
    assert set(NAMES) <= set(found["metrics"])
    return status, found["metrics"], printed


def test_suite_voice(capsys: pytest.CaptureFixture[str], voice: Path) -> None:
    status, metrics, printed = measured(capsys, "--suite", "voice", "--quick", "--audio", str(voice))
    assert status == 0
    assert metrics["voice_ms"]["n"] > 50
    assert metrics["voice_networks_ms"]["p50"] < metrics["voice_ms"]["p50"]
    assert "the driver before" in printed


def test_suite_renderer(capsys: pytest.CaptureFixture[str], voice: Path) -> None:
    status, metrics, printed = measured(capsys, "--suite", "renderer", "--quick", "--size", "256", "--audio", str(voice))
    assert status == 0
    assert set(metrics["render_ms"]) == DISTRIBUTION
    assert metrics["render_ms"]["n"] == 50
    assert metrics["render_to_calibration"] > 0
    assert metrics["engine_residence_ms"] is None
    assert "p50 <= 4" in printed


def test_suite_engine_with_a_stall(capsys: pytest.CaptureFixture[str], voice: Path) -> None:
    words = ("--quick", "--size", "256", "--workers", "1", "--audio", str(voice), "--inject-stall-ms", "80")
    _, metrics, _ = measured(capsys, *words)
    assert metrics["stall_injected_frames"]
    injected, shown = set(metrics["stall_injected_frames"]), set(metrics["stall_shown_frames"])
    assert len(injected & shown) > len(injected) / 2, "exactly these on a quiet machine; a busy one repeats some of them"
    assert len(shown - injected) < (metrics["frames"] - len(injected)) / 2, "and adds stalls of its own"
    assert all(index % 25 == 24 for index in metrics["stall_injected_frames"])
    assert set(metrics["engine_residence_ms"]) == DISTRIBUTION
    assert metrics["engine_residence_ms"]["n"] > 200
    assert metrics["samples_matched_ratio"] > 0.4  # 0.8 and more on a quiet machine
    assert metrics["sound_to_mouth_correlation"] > 0.3
    assert metrics["null_residence_ms"]["p50"] < metrics["voice_to_picture_ms"]["p50"]
    stages = [metrics[f"stage_{name}_ms"]["p50"] for name in ("audio_hold", "inference", "colour", "encode")]
    assert all(value >= 0 for value in stages)


def test_a_control_that_fails_makes_the_figures_void(
    capsys: pytest.CaptureFixture[str], voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import engine_suite

    monkeypatch.setattr(engine_suite, "CORRELATION_LEAST", 1.1)
    status, metrics, printed = measured(capsys, "--quick", "--seconds", "6", "--size", "256", "--audio", str(voice))
    assert status == 1
    assert metrics["failures"]
    assert "FAILED: the mouth in the pictures does not follow the sound" in printed


def test_suite_soak(capsys: pytest.CaptureFixture[str], voice: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--seconds", "8", "--size", "256", "--workers", "1", "--audio", str(voice), "--inject-ppm", "200")
    status, metrics, _ = measured(capsys, "--suite", "soak", "--quick", *words, "--plots", str(tmp_path))
    assert status == 0
    assert metrics["inject_ppm"] == 200
    for name in ("rss_growth_mb", "rss_slope_mb_per_h", "thread_growth", "descriptor_growth", "held_drift_ms"):
        assert isinstance(metrics[name], int | float), name
    assert metrics["held_p99_last_over_first"] > 0
    assert set(metrics["loop_lag_ms"]) == DISTRIBUTION
    assert {file.name for file in tmp_path.iterdir()} == {"drift.png", "memory.png"}


@pytest.mark.browser
def test_suite_soak_in_a_browser(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("playwright", reason="playwright is not installed: ./mien test installs it")
    words = ("--seconds", "8", "--size", "256", "--inject-ppm", "200", "--plots", str(tmp_path))
    status, metrics, printed = measured(capsys, "--suite", "soak", "--browser", *words)
    assert status == 0, printed
    for name in ("rss_growth_mb", "thread_growth", "descriptor_growth", "av_skew_drift_ms", "m2s_p99_last_over_first"):
        assert isinstance(metrics[name], int | float), name
    assert metrics["workers_rss_mb"]["p50"] > 10
    assert {file.name for file in tmp_path.iterdir()} == {"browser.png", "memory.png"}


def test_suite_capacity(
    capsys: pytest.CaptureFixture[str], voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import pipeline

    monkeypatch.setattr(pipeline, "WARM_S", 1.0)
    words = ("--size", "256", "--renderer", "null", "--sessions", "2", "--audio", str(voice), "--plots", str(tmp_path))
    status, metrics, printed = measured(capsys, "--suite", "capacity", "--quick", *words)
    assert status == 0
    assert 0 <= metrics["capacity_sessions"] <= 2
    assert 1 <= metrics["admitted_sessions"] <= 2
    played = [tried for tried in metrics["tried"] if "engine_residence_ms" in tried]
    assert played
    for tried in played:
        assert set(tried["engine_residence_ms"]) == DISTRIBUTION
        assert 0 <= tried["deadline_miss_rate"] <= 1
        assert min(tried[f"{part}_cores"] for part in ("workers", "loop", "encode", "others")) >= 0
        assert tried["pictures_per_s"] >= 0
    assert "admitted_sessions" in printed
    assert {file.name for file in tmp_path.iterdir()} == {"capacity.png", "capacity-residence.png"}


@pytest.fixture
def chromium() -> None:
    pytest.importorskip("playwright")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("needs Chromium")


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_suite_browser(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--seconds", "8", "--size", "256", "--starts", "1", "--renderer", "null")
    status, metrics, _ = measured(capsys, "--suite", "browser", "--quick", *words)
    assert status == 0
    for name in ("m2s_ms", "av_skew_ms", "ttff_ms", "display_delay_ms"):
        assert set(metrics[name]) == DISTRIBUTION, name
    assert metrics["m2s_ms"]["p50"] > 20
    assert 0 <= metrics["concealed_ratio"] <= 1
    assert metrics["admitted_sessions"] == 64 or metrics["refusal_ms"]["n"] == 5


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_suite_browser_over_a_bad_line_and_beside_a_plain_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import page

    monkeypatch.setattr(page, "WARM_S", 2)
    words = ("--seconds", "6", "--size", "256", "--renderer", "null", "--link", "loss=3,delay=10", "--beside-plain")
    _, metrics, printed = measured(capsys, "--suite", "browser", "--quick", *words)
    for found in (metrics, metrics["plain"]):
        assert set(found["display_delay_ms"]) == DISTRIBUTION
        assert found["stage_network_ms"]["p50"] >= 5  # 10 of the line alone; two clocks, that of the browser and ours
        assert found["display_delay_ms"]["p50"] >= 5
        assert set(found["stage_audio_hold_ms"]) == DISTRIBUTION
        assert 0 < found["real_samples_ratio"] <= 1
        assert 0 < found["line_lost_ratio"] < 0.2
        assert found["frames_decoded"] > 10
    assert "plain: m2s_ms" in printed
    assert metrics["ttff_ms"] is None


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_suite_starts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import starts_suite

    monkeypatch.setattr(starts_suite, "SETTLE_S", 1)
    status, metrics, _ = measured(capsys, "--suite", "starts", "--quick", "--size", "256", "--renderer", "null")
    assert status == 0
    assert metrics["ttff_ms"]["n"] == metrics["cycles"] == 10
    for name in ("mb_per_cycle", "rss_growth_mb", "tasks_left", "threads_left", "descriptors_left"):
        assert isinstance(metrics[name], int | float), name


@pytest.mark.parametrize(
    "words", [["--portrait", "nobody"], ["--audio", "/nowhere.wav"], ["--renderer", "pdfgc"], ["--models", "nowhere"]]
)
def test_what_is_not_there_is_said_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--suite", "renderer", "--quick", *words]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("mien: ")
    assert "\n" not in error


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--sessions", "auto"], ["--size", "500"], ["--link", "los=1"]])
def test_wrong_options_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(words)
    assert ended.value.code == 2
