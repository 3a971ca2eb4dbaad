//! The transfer curve of sRGB, IEC 61966-2-1.

/// The stored value, 0 to 1, of linear light, 0 to 1.
pub(crate) fn of_linear(light: f32) -> f32 {
    if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// Linear light, 0 to 1, of a stored value, 0 to 1.
pub(crate) fn to_linear(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        // Half the light is stored as 188 of 255.
        assert_eq!((255.0 * of_linear(0.5)).round(), 188.0);
        assert!((0..=255).all(|value| {
            let value = value as f32 / 255.0;
            (of_linear(to_linear(value)) - value).abs() < 1e-5
        }));
    }
}
