import numpy as np
import pytest

from engine.media import AudioChunk


def test_a_chunk_is_read_only_and_leaves_its_source_writeable() -> None:
    source = np.zeros(10, np.float32)
    chunk = AudioChunk(5, source)
    assert chunk.end == 15
    assert source.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        chunk.samples[0] = 1


@pytest.mark.parametrize("samples", [np.zeros(4), np.zeros((2, 2), np.float32)])
def test_other_arrays_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32"):
        AudioChunk(0, samples)
