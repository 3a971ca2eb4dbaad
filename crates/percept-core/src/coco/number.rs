//! Numbers as COCO files have them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that is written without a point where it is whole, and with the digits of an f32 where it is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Number(pub f64);

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self(f64::from(number))
    }
}

impl From<f32> for Number {
    fn from(number: f32) -> Self {
        Self(f64::from(number))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (whole, single) = (self.0 as i64, self.0 as f32);
        if whole as f64 == self.0 {
            serializer.serialize_i64(whole)
        } else if f64::from(single) == self.0 {
            serializer.serialize_f32(single)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let text = |number: Number| serde_json::to_string(&number).unwrap();
        assert_eq!(text(Number::from(7_u32)), "7");
        assert_eq!(text(Number::from(0.1_f32)), "0.1");
        assert_eq!(text(Number(0.1)), "0.1");
        assert_eq!(text(Number(16_777_217.0)), "16777217");
        assert_eq!(text(Number(1.0 / 3.0)), "0.3333333333333333");
    }
}
