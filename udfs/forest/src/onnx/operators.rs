//! The operators that a model may use: what exporters write for trees, linear models, small networks and their scaling.
//!
//! Left out: control flow (graphs in graphs), random numbers, sequences, strings, images, anything that reads files, and what makes a
//! large tensor out of a small one.

/// Domain of the machine-learning operators.
pub(super) const ML: &str = "ai.onnx.ml";

#[rustfmt::skip]
const ML_OPERATORS: &[&str] = &[
    "ArrayFeatureExtractor", "Binarizer", "FeatureVectorizer", "Imputer", "LabelEncoder", "LinearClassifier", "LinearRegressor",
    "Normalizer", "OneHotEncoder", "SVMClassifier", "SVMRegressor", "Scaler", "TreeEnsemble", "TreeEnsembleClassifier",
    "TreeEnsembleRegressor", "ZipMap",
];

#[rustfmt::skip]
const OPERATORS: &[&str] = &[
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather", "Gelu",
    "Gemm", "Greater", "GreaterOrEqual", "HardSigmoid", "Identity", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "Mean", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pow",
    "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "Selu", "Shape",
    "Sigmoid", "Sign", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "TopK", "Transpose",
    "Unsqueeze", "Where", "Xor",
];

/// Whether a model may use the operator.
pub(super) fn is_known(domain: &str, op: &str) -> bool {
    match domain {
        "" => OPERATORS.contains(&op),
        ML => ML_OPERATORS.contains(&op),
        _ => false,
    }
}
