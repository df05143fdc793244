//! Numbers as bytes: little-endian, in the format of a dtype.

use logitfuzz::Dtype;

/// The values as bytes of the format, which must be one that is not mixed. Each must be a value of it.
pub fn bytes(format: Dtype, values: &[f64]) -> Vec<u8> {
    let size = format.bytes();
    values.iter().flat_map(|&x| format.to_bits(x).to_le_bytes().into_iter().take(size)).collect()
}

/// The values of whole numbers of bytes of the format; every NaN is the one quiet NaN.
pub fn values(format: Dtype, bytes: &[u8]) -> Vec<f64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        format.from_bits(u64::from_le_bytes(word))
    };
    bytes.chunks_exact(format.bytes()).map(word).collect()
}
