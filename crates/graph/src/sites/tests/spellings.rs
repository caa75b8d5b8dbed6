//! One function is written in many ways, and many functions look like one.

use super::check;

#[test]
fn piecewise_linear_functions_in_every_spelling() {
    check(&[
        ("Relu(x)", "relu"),
        ("Max(x, 0)", "relu"),
        ("Max(0, x)", "relu"),
        ("Clip(x, 0)", "relu"),
        ("Where(Greater(x, 0), x, 0)", "relu"),
        ("Where(Less(x, 0), 0, x)", "relu"),
        ("Where(LessOrEqual(x, 0), 0, x)", "relu"),
        ("(x + Abs(x)) * 0.5", "relu"),
        ("(x + Abs(x)) / 2", "relu"),
        ("Neg(Min(Neg(x), 0))", "relu"),
        ("Relu(Relu(x))", "relu"),
        ("ThresholdedRelu(x, alpha=0)", "relu"),
        ("LeakyRelu(x, alpha=0)", "relu"),
        ("Relu(Identity(x))", "relu"),
        ("Clip(x, 0, 6)", "relu6"),
        ("Min(Relu(x), 6)", "relu6"),
        ("Max(Min(x, 6), 0)", "relu6"),
        ("Relu(Min(x, 6))", "relu6"),
        ("Relu(x) - Relu(x - 6)", "relu6"),
        ("Clip(x, -1, 1)", "hard_tanh"),
        ("Max(Min(x, 1), -1)", "hard_tanh"),
        ("LeakyRelu(x, alpha=0.1)", "leaky_relu:0.1"),
        ("Max(x, x * 0.1)", "leaky_relu:0.1"),
        ("Where(Greater(x, 0), x, 0.2 * x)", "leaky_relu:0.2"),
        ("x * 0.55 + Abs(x) * 0.45", "leaky_relu:0.1"),
        ("Relu(x) - 0.3 * Relu(Neg(x))", "prelu:0.3"),
        ("Relu(x) + -0.3 * Relu(Neg(x))", "prelu:0.3"),
        ("PRelu(x, 0.3)", "prelu:0.3"),
        ("PRelu(x, slope(1, 8, 1, 1))", "prelu"),
        ("Max(x, 0) + slope(1, 8, 1, 1) * Min(x, 0)", "prelu"),
        ("Relu(x) - slope(8, 1, 1) * Relu(Neg(x))", "prelu"),
        ("HardSigmoid(x, alpha=0.2, beta=0.5)", "hard_sigmoid:0.2"),
        ("Clip(x + 3, 0, 6) / 6", "hard_sigmoid"),
        ("Relu(Min(x / 6 + 0.5, 1))", "hard_sigmoid"),
        ("Clip(x * 0.1667 + 0.5, 0, 1)", "hard_sigmoid"),
        ("Where(Greater(x, 0), 1, 0)", "step"),
    ]);
}

#[test]
fn smooth_functions_in_every_spelling() {
    check(&[
        ("x * Sigmoid(x)", "silu"),
        ("Sigmoid(x) * x", "silu"),
        ("x / (1 + Exp(Neg(x)))", "silu"),
        ("x * Reciprocal(Exp(Neg(x)) + 1)", "silu"),
        ("x * (1 / (1 + Exp(x * -1)))", "silu"),
        ("x * 0.5 * (1 + Tanh(x * 0.5))", "silu"),
        ("x * (Exp(x) / (Exp(x) + 1))", "silu"),
        ("x - x * Sigmoid(Neg(x))", "silu"),
        ("Identity(x) * Sigmoid(Identity(x))", "silu"),
        ("Swish(x, alpha=1)", "silu"),
        ("com.microsoft.QuickGelu(x, alpha=1)", "silu"),
        ("x * Sigmoid(1.702 * x)", "quick_gelu"),
        ("com.microsoft.QuickGelu(x)", "quick_gelu"),
        ("x * Sigmoid(x * 1.5)", "swish:1.5"),
        ("x * Sigmoid(x * beta(1, 8, 1, 1))", "swish"),
        ("x * Clip(x + 3, 0, 6) / 6", "hard_swish"),
        ("x * Clip(x + 3, 0, 6) * 0.16666667", "hard_swish"),
        ("x * Clip(x * 0.1667 + 0.5, 0, 1)", "hard_swish"),
        ("x * HardSigmoid(x, alpha=0.16666667, beta=0.5)", "hard_swish"),
        ("x * (Min(Relu(x + 3), 6) / 6)", "hard_swish"),
        ("x * Tanh(Softplus(x))", "mish"),
        ("x * Tanh(Log(1 + Exp(x)))", "mish"),
        ("x * Tanh(Where(Greater(x, 20), x, Softplus(x)))", "mish"),
        ("x * Tanh(Neg(Log(Sigmoid(Neg(x)))))", "mish"),
        ("x * (Exp(x) * (Exp(x) + 2)) / (Exp(x) * (Exp(x) + 2) + 2)", "mish"),
        ("0.5 * x * (1 + Erf(x / 1.4142135))", "gelu"),
        ("0.5 * (x * Sum(1, Erf(x / Sqrt(2))))", "gelu"),
        ("x * (0.5 + 0.5 * Erf(x * 0.70710678))", "gelu"),
        ("x * (Erf(x * (1 / Sqrt(2))) + 1) / 2", "gelu"),
        ("0.5 * x * (1 + Tanh(0.7978845608 * (x + 0.044715 * Pow(x, 3))))", "gelu_tanh"),
        ("0.5 * x * (1 + Tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))", "gelu_tanh"),
        ("x * Sigmoid(1.5957691216 * (x + 0.044715 * x * x * x))", "gelu_tanh"),
        ("com.microsoft.FastGelu(x)", "gelu_tanh"),
        ("Where(Greater(x, 0), x, Exp(x) - 1)", "elu"),
        ("Relu(x) + Min(Exp(x) - 1, 0)", "elu"),
        ("Where(Greater(x, 0), x, (Exp(x) - 1) * 0.5)", "elu:0.5"),
        ("Where(Greater(x, 0), x, (Exp(x) - 1) * 1.6732632) * 1.050701", "selu"),
        ("Celu(x, alpha=0.7)", "celu:0.7"),
        ("Max(x, 0) + Min(0.7 * (Exp(x / 0.7) - 1), 0)", "celu:0.7"),
        ("Log(Exp(x) + 1)", "softplus"),
        ("Relu(x) + Log(1 + Exp(Neg(Abs(x))))", "softplus"),
        ("Log(1 + Exp(x * 2)) / 2", "softplus:2"),
        ("x / (1 + Abs(x))", "softsign"),
        ("x * Reciprocal(Abs(x) + 1)", "softsign"),
        ("Tanh(x)", "tanh"),
        ("2 * Sigmoid(2 * x) - 1", "tanh"),
        ("(Exp(x) - Exp(Neg(x))) / (Exp(x) + Exp(Neg(x)))", "tanh"),
        ("Sigmoid(x)", "sigmoid"),
        ("0.5 * Tanh(0.5 * x) + 0.5", "sigmoid"),
        ("1 / (1 + Exp(Neg(x)))", "sigmoid"),
        ("Sin(x * 30)", "sine"),
        ("x * Tanh(Exp(x))", "tanhsoft2:1"),
        ("x * d(1, 8, 1, 1) * Sigmoid(x * d(1, 8, 1, 1)) + x * p2(1, 8, 1, 1)", "acon_c"),
    ]);
}

#[test]
fn a_scale_or_a_shift_stays_outside() {
    check(&[
        ("Relu(x) * 2", "relu"),
        ("Relu(x * 2 + 1)", "relu"),
        ("(x + 1) * Sigmoid(x + 1)", "silu"),
        ("x * Sigmoid(x) * 1.6765 + 0.1", "silu"),
        ("Relu(x * scale(1, 8, 1, 1) + shift(1, 8, 1, 1))", "relu"),
        ("x * 2 + 1", ""),
        ("Identity(x)", ""),
        ("Neg(x)", ""),
        ("Relu(x) - Relu(Neg(x))", ""),
        ("Clip(x, -400, 400)", ""),
    ]);
}

#[test]
fn two_activations_are_two_sites() {
    check(&[("Relu(x * Sigmoid(x))", "silu, relu"), ("Clip(Tanh(x) * 4, 0, 6)", "tanh, relu6")]);
}

#[test]
fn what_nobody_knows_is_told_as_a_whole_and_its_pieces_are_no_sites() {
    check(&[
        ("x + Pow(Sin(x * 0.5), 2) * 2", "unknown: x + Pow(Sin(x * 0.5), 2) * 2"),
        ("Pow(Relu(x), 2)", "unknown: Pow(Relu(x), 2)"),
        ("Pow(Relu(x), 2) * 0.8944 + -0.4472", "unknown: Pow(Relu(x), 2)"),
        ("Relu(x) * Relu(x)", "unknown: Relu(x) * Relu(x)"),
        ("Sqrt(Max(x, 0) + 0.00001)", "unknown: Sqrt(Max(x, 0) + 0.00001)"),
        ("x + x * Sigmoid(x)", "unknown: x + x * Sigmoid(x)"),
        ("x - Tanh(x)", "unknown: x - Tanh(x)"),
        ("x * HardSigmoid(x)", "unknown: x * HardSigmoid(x, alpha=0.2, beta=0.5)"),
        ("Max(x, 0.000001)", "unknown: Max(x, 0.000001)"),
        ("Min(x, 6)", "unknown: Min(x, 6)"),
        ("Max(x, x * 2)", "unknown: Max(x, x * 2)"),
        ("Exp(x)", "unknown: Exp(x)"),
        ("Clip(x, 0, 1)", "unknown: Clip(x, 0, 1)"),
        ("Abs(x)", "unknown: Abs(x)"),
        ("Relu(x) * Sigmoid(x)", "unknown: Relu(x) * Sigmoid(x)"),
        ("Shrink(x, lambd=0.5)", "unknown: Shrink(x, lambd=0.5, bias=0)"),
    ]);
}
