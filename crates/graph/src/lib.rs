//! Models as ONNX has them, and the activations in them: no engine is known here.

pub mod activation;
pub mod onnx;
pub mod sites;
pub mod swap;
