//! `.npy` files, as a user would bring them.

/// A version 1.0 `.npy` file in C order: `kind` is numpy's, `<f4` or `<i8`; `data` are the raw bytes.
pub fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    /// The header ends at a multiple of this.
    const ALIGNMENT: usize = 64;
    let dict = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let total = (before + dict.len() + 1).next_multiple_of(ALIGNMENT);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(((total - before) as u16).to_le_bytes());
    file.extend(dict.bytes());
    file.resize(total - 1, b' ');
    file.push(b'\n');
    file.extend(data);
    file
}

/// Rows of f32 logits as a `.npy` file.
pub fn npy_f32(rows: &[&[f32]]) -> Vec<u8> {
    let data: Vec<u8> = rows.iter().flat_map(|row| row.iter().flat_map(|z| z.to_le_bytes())).collect();
    npy("<f4", &format!("({}, {})", rows.len(), rows[0].len()), &data)
}
