import gc

import numpy as np
import pytest

from engine.errors import DeviceError, MissingDependency, OutOfDeviceMemory
from engine.runtime import cuda
from engine.runtime.cuda import Buffer, Driver, Gpu, Pinned, Stream
from tests.unit.fake_cuda import LARGEST, FakeLibrary


@pytest.fixture
def library() -> FakeLibrary:
    return FakeLibrary()


@pytest.fixture
def gpu(library: FakeLibrary) -> Gpu:
    return Gpu(Driver(library), 0)


def test_a_gpu_says_what_it_is(gpu: Gpu) -> None:
    assert (gpu.name, gpu.capability, gpu.driver.version) == ("A GPU", (9, 0), (13, 0))
    assert gpu.memory() == (3 << 30, 4 << 30)


def test_what_goes_up_comes_down(gpu: Gpu) -> None:
    stream, there = Stream(gpu), Pinned(gpu, (2, 3), np.float32)
    middle, back = [Buffer(gpu, 24), Buffer(gpu, 24)], Pinned(gpu, (2, 3), np.float32)
    there.array[:] = np.arange(6).reshape(2, 3)
    stream.upload(there, middle[0])
    stream.copy(*middle)
    stream.download(middle[1], back)
    stream.wait()
    np.testing.assert_array_equal(back.array, there.array)
    stream.clear(middle[1])
    stream.download(middle[1], back)
    stream.wait()
    assert not back.array.any()


def test_what_is_recorded_is_done_when_it_is_replayed(gpu: Gpu, library: FakeLibrary) -> None:
    stream, memory, host = Stream(gpu), Buffer(gpu, 4), Pinned(gpu, (1,), np.float32)
    host.array[0] = 1

    def work() -> None:
        stream.upload(host, memory)
        stream.download(memory, host)
        stream.clear(memory)

    recording = stream.record(work)
    assert bytes(library.memory[memory.address]) == b"\xff" * 4
    recording.replay()
    assert bytes(library.memory[memory.address]) == bytes(4)


def test_what_cannot_be_recorded_is_refused_and_the_stream_lives_on(gpu: Gpu) -> None:
    stream, memory = Stream(gpu), Buffer(gpu, 4)
    with pytest.raises(DeviceError, match="capturing"):
        stream.record(lambda: Buffer(gpu, 4) and None)
    stream.clear(memory)


def test_memory_goes_with_its_object(gpu: Gpu, library: FakeLibrary) -> None:
    held = [Buffer(gpu, 8), Pinned(gpu, (2,), np.float32)]
    assert len(library.memory) == 2
    held.clear()
    gc.collect()
    assert not library.memory


def test_a_full_memory_is_named(gpu: Gpu) -> None:
    with pytest.raises(OutOfDeviceMemory, match=r"memory is full.*--device cpu"):
        Buffer(gpu, LARGEST + 1)


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match="there is no GPU 1, this machine has 1: choose another --device"):
        Gpu(Driver(FakeLibrary()), 1)
    with pytest.raises(DeviceError, match="this machine has none"):
        Gpu(Driver(FakeLibrary(gpus=0)), 0)


def test_a_machine_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "LIBRARY", "libnothing-of-that-name.so")
    with pytest.raises(MissingDependency, match="install NVIDIA's driver"):
        cuda.driver.__wrapped__()


def test_a_driver_that_finds_no_gpu_is_told_in_one_line() -> None:
    library = FakeLibrary()
    library.refuse("cuInit", 100)
    with pytest.raises(DeviceError, match=r"^the GPU cannot be used \(cuInit says no CUDA-capable device.*, 100\): nvidia-smi"):
        Driver(library)
