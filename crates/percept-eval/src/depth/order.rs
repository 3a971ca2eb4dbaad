//! Whether pairs of points are in the right order.

/// Depths whose ratio is below 1 + this are equally far.
const EQUAL: f64 = 0.03;
/// Pairs a picture.
const PAIRS: usize = 50_000;

/// The part of pairs of points whose order (nearer, farther, equally far) is not that of the truth. Points are drawn, the same
/// ones for every result: the `n`-th pair has the places `n a` and `n b` modulo the number of points, where `a` and `b` are
/// the number of points over the golden ratio and its square root, made odd (a Kronecker sequence).
pub(super) fn error(said: &[f64], found: &[f64]) -> f64 {
    let count = said.len() as u64;
    let step = |part: f64| (count as f64 * part) as u64 | 1;
    let (a, b) = (step(0.618_033_988_749_894_9), step(0.786_151_377_757_423_3));
    let pairs = (1..=PAIRS as u64).map(|n| ((n * a % count) as usize, (n * b % count) as usize));
    let (mut wrong, mut all) = (0_usize, 0_usize);
    for (one, other) in pairs.filter(|(one, other)| one != other) {
        all += 1;
        wrong += usize::from(relation(said[one], said[other]) != relation(found[one], found[other]));
    }
    if all == 0 { 0.0 } else { wrong as f64 / all as f64 }
}

fn relation(one: f64, other: f64) -> i8 {
    match one / other {
        ratio if ratio >= 1.0 + EQUAL => 1,
        ratio if ratio <= 1.0 / (1.0 + EQUAL) => -1,
        _ => 0,
    }
}
