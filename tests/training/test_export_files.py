import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402 - torch first

from engine.contract import GraphSpec, TensorSpec  # noqa: E402
from engine.errors import ModelError  # noqa: E402
from engine.runtime.model_file import BATCH, LICENCE, MANIFEST, PRECISION, SOURCE, manifest_of, read_model  # noqa: E402
from engine.runtime.ort import OrtGraph  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.bars import Bar  # noqa: E402
from export.exporting import ISLANDS, export  # noqa: E402
from export.files import Network, digest, exactness, model_of  # noqa: E402
from export.probes import MODELS, drawn  # noqa: E402
from export.restore import restored  # noqa: E402
from export.table import ROWS, rows_of  # noqa: E402

SPEC = GraphSpec("small", (TensorSpec("x", (1, 3, 8, 8)),), (TensorSpec("y", (1, 5)),), (TensorSpec("h", (1, 1, 6), axis=1),))


class Small(nn.Module):
    """Something of everything that exporting turns round: convolution and norm, recurrent, linear, a dead branch."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        double = (nn.Upsample(scale_factor=2), nn.MaxPool2d(2))  # the one has constants in the graph, beside the weights
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), *double, nn.Flatten())
        self.memory = nn.GRU(64, 6, batch_first=True)
        self.said = nn.Linear(6, 5)
        norm = self.features[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.features(x)
        torch.exp(seen).sum()  # nobody asks for it
        memory, after = self.memory(seen[:, None], h)
        return self.said(memory[:, 0]), after


def small(seed: int = 0) -> Network:
    return Network(Small(seed).eval(), SPEC, {"y": Bar(0.02)})


def test_every_file_says_what_it_is_and_is_vouched_for(tmp_path: Path) -> None:
    network = small()
    paths = export(network, tmp_path, (1, 4)) + export(network, tmp_path, (1, 2), half=True)
    names = ["small.onnx", "small.b4.onnx", "small.onnx", "small.half.onnx", "small.b2.half.onnx"]
    assert [path.name for path in paths] == names
    listed = manifest_of(tmp_path)
    assert listed is not None
    assert set(listed) == set(names)
    assert json.loads((tmp_path / MANIFEST).read_text())["version"] == 1
    for name, batch, precision in (("small.b4.onnx", "4", "float32"), ("small.b2.half.onnx", "2", "half")):
        file = read_model(tmp_path / name)
        assert file.spec == SPEC.batched(int(batch))
        assert [file.metadata[key] for key in (BATCH, PRECISION, LICENCE)] == [batch, precision, "Apache-2.0"]
        assert file.metadata[SOURCE] == listed["small.onnx"]["source"] == digest(network.module)
        assert OrtGraph.load(tmp_path / name).spec == file.spec
    assert json.loads(read_model(tmp_path / "small.half.onnx").metadata[ISLANDS]) == []


def test_files_with_other_weights_do_not_stay_beside_new_ones(tmp_path: Path) -> None:
    export(small(1), tmp_path, (1, 2))
    export(small(1), tmp_path, (2,), half=True)
    assert len(list(tmp_path.glob("*.onnx"))) == 3
    export(small(2), tmp_path)
    assert [path.name for path in tmp_path.glob("*.onnx")] == ["small.onnx"]
    assert set(manifest_of(tmp_path) or ()) == {"small.onnx"}
    read_model(tmp_path / "small.onnx")


def test_what_ships_is_exported_again_for_another_batch(tmp_path: Path) -> None:
    assert main(["head-style", "--half", "--batch", "2", "--out", str(tmp_path)]) == 0
    before = read_model(MODELS / "head_style.onnx").spec
    assert read_model(tmp_path / "head_style.onnx").spec == before
    assert read_model(tmp_path / "head_style.b2.half.onnx").spec == before.batched(2)
    graphs = [OrtGraph.load(folder / "head_style.onnx") for folder in (MODELS, tmp_path)]
    one, other = (graph.run(before.fake_inputs(0))["style"].astype(np.float32) for graph in graphs)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_graph_is_static_and_has_no_dead_branch() -> None:
    model = model_of(small(), 4)
    assert not [node for node in model.graph.node if node.op_type in ("Exp", "Shape", "BatchNormalization", "Constant")]
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    assert known == {name for node in model.graph.node for name in node.output}
    assert [entry.domain for entry in model.opset_import] == [""]


def test_weights_come_back_out_of_the_file(tmp_path: Path) -> None:
    network = small(1)
    (path,) = export(network, tmp_path)
    probes = drawn(SPEC, 5)
    again = restored(small(2), path, probes)
    assert max(exactness(again, model_of(network), probes).values()) < 1e-5


def test_the_file_of_another_network_is_refused(tmp_path: Path) -> None:
    (path,) = export(small(), tmp_path)
    wider = small()
    module = Small(0)
    module.said = nn.Linear(6, 7)
    with pytest.raises(ModelError, match="exported by another version"):
        restored(replace(wider, module=module, spec=replace(SPEC, outputs=(TensorSpec("y", (1, 7)),))), path, drawn(SPEC, 1))


def test_a_file_that_differs_from_its_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.exporting.model_of", lambda network, batch=1: model_of(small(9), batch))
    with pytest.raises(ModelError, match=r"away from PyTorch's; <= 0.0001 relative is allowed"):
        export(small(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_and_groups() -> None:
    assert [row.name for row in rows_of("face-eyes")] == ["face-eyes"]
    assert {row.name for row in rows_of("head")} == {"head", "head-style"}
    assert list(rows_of("all")) == list(ROWS)
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert rows_of("nose") == []
    for row in ROWS:
        assert (MODELS / f"{row.name.replace('-', '_')}.onnx").exists() == row.ships


def test_words_that_cannot_be_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["nose"]) == 2
    assert "there is no network 'nose'" in capsys.readouterr().err
    assert main(["all", "--run", "x"]) == 1
    assert capsys.readouterr().err == "export: --run is of one network, or of a group: name it instead of all\n"
    assert main(["pdfgc-audio"]) == 1
    assert "pdfgc-audio needs weights" in capsys.readouterr().err
    assert main(["voice", "--run", "nowhere"]) == 1
    assert "no checkpoint in nowhere" in capsys.readouterr().err
