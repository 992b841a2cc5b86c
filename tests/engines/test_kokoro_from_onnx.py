"""The parts of the conversion that are easily wrong. That the whole is right is heard in test_kokoro_torch.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from deployments.engines.kokoro_from_onnx import Graph, state_of


def node(kind, name, *inputs, output="out"):
    return SimpleNamespace(op_type=kind, name=name, input=list(inputs), output=[output])


def int8(*shape):
    return np.random.default_rng(0).integers(-127, 127, shape).astype(np.int8)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("/encoder/text_encoder/cnn.0/cnn.0.0/Conv_quant", "text_encoder.cnn.0.0"),
        ("/encoder/F0.1/conv1x1/Conv_quant", "predictor.F0.1.conv1x1"),
        ("/encoder/N_proj/Conv_quant", "predictor.N_proj"),
        ("/decoder/decoder/generator/resblocks.2/convs1.0/Conv_quant", "decoder.generator.resblocks.2.convs1.0"),
    ],
)
def test_a_node_bears_the_name_of_its_module(name, module):
    weights = {"w_quantized": int8(2, 2, 1), "w_scale": np.float32(0.5), "zero": np.int8(3)}
    state = state_of(Graph(weights, [node("ConvInteger", name, "x", "w_quantized", "xz", "zero")]))
    assert list(state) == [f"{module}.weight"]
    assert np.array_equal(state[f"{module}.weight"], (weights["w_quantized"].astype(np.float32) - 3) * 0.5)


def test_weight_norm_has_the_same_product_even_where_every_weight_was_rounded_to_nothing():
    weights = {"/a/Mul_output_0_quantized": int8(2, 3, 5), "/a/Mul_output_0_scale": np.float32(0.1), "zero": np.int8(0)}
    weights["/a/Mul_output_0_quantized"][1] = 0
    state = state_of(Graph(weights, [node("ConvInteger", "/decoder/decoder/a/Conv_quant", "x", "/a/Mul_output_0_quantized", "xz", "zero")]))
    g, v = state["decoder.a.weight_g"], state["decoder.a.weight_v"]
    product = g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
    assert np.allclose(product, weights["/a/Mul_output_0_quantized"] * np.float32(0.1), atol=1e-5)


def test_layers_of_albert_share_the_first_one():
    weights = {"w_quantized": int8(2, 2), "w_scale": np.ones(2, np.float32), "zero": np.zeros(2, np.int8)}
    nodes = [node("MatMulInteger", f"/encoder/bert/{name}/MatMul_quant", "x", "w_quantized", "xz", "zero") for name in ("ffn", "ffn_1")]
    assert list(state_of(Graph(weights, nodes))) == ["bert.ffn.weight"]


def test_a_matrix_is_turned_and_has_a_scale_for_each_output():
    weights = {"w_quantized": int8(3, 2), "w_scale": np.array([1, 10], np.float32), "zero": np.zeros(2, np.int8)}
    state = state_of(Graph(weights, [node("MatMulInteger", "/encoder/bert_encoder/MatMul_quant", "x", "w_quantized", "xz", "zero")]))
    assert np.array_equal(state["bert_encoder.weight"], (weights["w_quantized"] * np.array([1, 10], np.float32)).T)


def test_an_lstm_speaks_as_onnx_defines_it():
    """One step from rest: input, output, forget, cell in ONNX's order; only input, cell and output matter then."""
    torch = pytest.importorskip("torch")
    hidden, size = 2, 3
    rng = np.random.default_rng(1)
    weights = {
        "W_quantized": int8(2, size, 4 * hidden),
        "W_scale": np.array([0.01, 0.02], np.float32),
        "R_quantized": int8(2, hidden, 4 * hidden),
        "R_scale": np.array([0.01, 0.02], np.float32),
        "onnx::LSTM_B": rng.normal(size=(2, 8 * hidden)).astype(np.float32),
        "zero": np.zeros(2, np.int8),
    }
    inputs = ["x", "W_quantized", "R_quantized", "onnx::LSTM_B", "", "h", "c", "", "W_scale", "zero", "R_scale", "zero"]
    state = state_of(Graph(weights, [node("DynamicQuantizeLSTM", "/encoder/predictor/lstm/LSTM_quant", *inputs)]))
    lstm = torch.nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("predictor.lstm."): torch.from_numpy(np.array(one)) for name, one in state.items()})
    x = rng.normal(size=size).astype(np.float32)
    said = lstm(torch.from_numpy(x)[None, None])[0][0, 0].detach().numpy()
    for direction in (0, 1):
        bias = weights["onnx::LSTM_B"][direction].reshape(2, -1).sum(0)
        gates = x @ (weights["W_quantized"][direction] * weights["W_scale"][direction]) + bias
        i, o, _, c = np.split(gates, 4)
        sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
        wanted = sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(c))
        assert np.allclose(said[direction * hidden :][:hidden], wanted, atol=1e-5)
