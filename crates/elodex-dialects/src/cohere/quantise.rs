//! Small numbers for large vectors. Every function first scales the vector to unit length (a zero vector stays zero),
//! so that the results of different texts compare under dot product and under cosine.
//!
//! Components of a unit vector of width `d` spread with standard deviation `1/√d`; the eight-bit range therefore spans
//! `±L` with `L = min(1, 8/√d)`, eight standard deviations, and whatever lies outside is clamped.

/// `round(clamp(x / L, -1, 1) · 127)`: -127..127.
pub fn int8(vector: &[f32]) -> Vec<i8> {
    let scale = 127.0 / (limit(vector.len()) * length(vector));
    vector.iter().map(|number| (number * scale).clamp(-127.0, 127.0).round() as i8).collect()
}

/// [`int8`] shifted by 128: 1..255, with 128 for zero.
pub fn uint8(vector: &[f32]) -> Vec<u8> {
    int8(vector).into_iter().map(|number| (i16::from(number) + 128) as u8).collect()
}

/// One bit per component, set where it is greater than zero; the first component is the highest bit of the first byte.
/// A width that is no multiple of eight is filled up with zero bits.
pub fn ubinary(vector: &[f32]) -> Vec<u8> {
    let byte = |components: &[f32]| {
        components.iter().zip((0..8).rev()).map(|(number, bit)| u8::from(*number > 0.0) << bit).sum()
    };
    vector.chunks(8).map(byte).collect()
}

/// [`ubinary`] shifted by -128: -128..127.
pub fn binary(vector: &[f32]) -> Vec<i8> {
    ubinary(vector).into_iter().map(|byte| (i16::from(byte) - 128) as i8).collect()
}

fn limit(width: usize) -> f32 {
    (8.0 / (width as f32).sqrt()).min(1.0)
}

/// Euclidean length; 1 for a zero vector, which has no direction to scale.
fn length(vector: &[f32]) -> f32 {
    let squares: f64 = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
    if squares > 0.0 { squares.sqrt() as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_vectors_use_the_whole_range() {
        assert_eq!(int8(&[0.6, -0.8, 0.0]), [76, -102, 0]);
        assert_eq!(int8(&[6.0, -8.0, 0.0]), [76, -102, 0], "length does not matter");
        assert_eq!(uint8(&[0.6, -0.8, 0.0]), [204, 26, 128]);
        assert_eq!(int8(&[0.0; 3]), [0; 3]);
        assert_eq!(int8(&[]), [0_i8; 0]);
    }

    #[test]
    fn wide_vectors_span_eight_standard_deviations() {
        let mut vector = vec![0.0; 1024];
        vector[0] = 0.125;
        vector[1] = (1.0_f32 - 0.125 * 0.125).sqrt();
        let quantised = int8(&vector);
        assert_eq!((quantised[0], quantised[1]), (64, 127), "0.125 is half of 8/√1024; the rest is clamped");
    }

    #[test]
    fn bits_are_packed_from_the_highest() {
        let vector = [0.5, -0.5, 0.0, 0.1, -0.1, 0.2, 0.3, 0.4, 0.9];
        assert_eq!(ubinary(&vector), [0b1001_0111, 0b1000_0000]);
        assert_eq!(binary(&vector), [0b1001_0111_u8.wrapping_sub(128) as i8, 0]);
    }
}
