//! Damages files, the same ones in the same way in every run.

/// A small generator (xorshift64*), so that every run damages the same bytes.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `below`; 0 where that is 0.
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }
}

/// Cuts, flips, overwrites, drops or doubles a part of a file, and says which.
pub(crate) fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> &'static str {
    // Headers are where the interesting lies are told.
    let near_start = |dice: &mut Dice, length: usize| {
        let reach = if dice.roll(3) == 0 { length } else { length.min(300) };
        dice.roll(reach)
    };
    match dice.roll(5) {
        0 => {
            bytes.truncate(dice.roll(bytes.len()));
            "cut off"
        }
        1 => {
            for _ in 0..1 + dice.roll(8) {
                let at = near_start(dice, bytes.len());
                bytes[at] ^= 1 << dice.roll(8);
            }
            "bits flipped"
        }
        2 => {
            let at = near_start(dice, bytes.len());
            let extreme = [[0xff; 4], [0; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0]][dice.roll(4)];
            for (byte, new) in bytes[at..].iter_mut().zip(extreme) {
                *byte = new;
            }
            "an extreme number"
        }
        3 => {
            let (from, to) = (dice.roll(bytes.len()), dice.roll(bytes.len()));
            bytes.drain(from.min(to)..from.max(to));
            "a hole"
        }
        _ => {
            let (from, at) = (dice.roll(bytes.len()), dice.roll(bytes.len()));
            let piece: Vec<u8> = bytes[from..].iter().copied().take(1 + dice.roll(4_000)).collect();
            bytes.splice(at..at, piece);
            "a piece doubled"
        }
    }
}
