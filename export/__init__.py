"""From trained networks to ONNX and TensorRT."""
