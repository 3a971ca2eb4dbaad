//! Numbers as files store them.

use percept_core::cloud::Scalar;

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// The number in the first bytes, which are there. All but 64-bit integers fit into f64.
pub(crate) fn decode(bytes: &[u8], kind: Scalar, order: Order) -> f64 {
    macro_rules! number {
        ($type:ty) => {{
            let mut own = [0; size_of::<$type>()];
            own.copy_from_slice(&bytes[..size_of::<$type>()]);
            f64::from(match order {
                Order::Little => <$type>::from_le_bytes(own),
                Order::Big => <$type>::from_be_bytes(own),
            })
        }};
    }
    match kind {
        Scalar::I8 => number!(i8),
        Scalar::U8 => number!(u8),
        Scalar::I16 => number!(i16),
        Scalar::U16 => number!(u16),
        Scalar::I32 => number!(i32),
        Scalar::U32 => number!(u32),
        Scalar::F32 => number!(f32),
        Scalar::F64 => number!(f64),
    }
}

/// Appends a number, little end first. What does not fit its type becomes the nearest that does.
pub(super) fn encode(value: f64, kind: Scalar, out: &mut Vec<u8>) {
    match kind {
        Scalar::I8 => out.extend((value as i8).to_le_bytes()),
        Scalar::U8 => out.extend((value as u8).to_le_bytes()),
        Scalar::I16 => out.extend((value as i16).to_le_bytes()),
        Scalar::U16 => out.extend((value as u16).to_le_bytes()),
        Scalar::I32 => out.extend((value as i32).to_le_bytes()),
        Scalar::U32 => out.extend((value as u32).to_le_bytes()),
        Scalar::F32 => out.extend((value as f32).to_le_bytes()),
        Scalar::F64 => out.extend(value.to_le_bytes()),
    }
}
