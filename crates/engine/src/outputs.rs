//! A run's outputs in a file, in a form in which those of any engine can be compared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use oplat_ground::error::Error;
use oplat_ground::protocol::{Failure, Outputs};

use crate::RawOutputs;

/// Writes all outputs, one after another, as little-endian f64. Fails with the file's name.
pub fn write(outputs: &RawOutputs, file: &Path) -> Result<Outputs, Failure> {
    let cannot = |e: &std::io::Error| Failure {
        machine: true,
        ..Failure::new(format!("its outputs can't be kept: {}", Error::file("write", file, e).message))
    };
    let mut writer = BufWriter::new(File::create(file).map_err(|e| cannot(&e))?);
    let mut elements = vec![];
    for tensor in &outputs.tensors {
        let numbers = tensor.to_f64().ok_or_else(|| Failure::new("an output holds no numbers"))?;
        elements.push(numbers.len() as u64);
        for number in numbers {
            writer.write_all(&number.to_le_bytes()).map_err(|e| cannot(&e))?;
        }
    }
    writer.flush().map_err(|e| cannot(&e))?;
    Ok(Outputs { elements, non_finite: outputs.non_finite, subnormal: outputs.subnormal })
}
