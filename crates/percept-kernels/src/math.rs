//! exp, erf and the activations as straight-line arithmetic that the compiler turns into vectors.
//!
//! Every function here is branch-free and inlined into a loop compiled for one instruction set. `FMA` says
//! whether `mul_add` is one instruction there; where it is not, it would be a slow library call.

use crate::isa::Isa;

/// Compiles one body for each instruction set and picks at run time.
///
/// The body may use the constant `FMA` and must not unwind past what slices already do.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $answer:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $answer)? {
            #[inline(always)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $answer)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $answer)? { body::<true>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $answer)? { body::<true>($($arg),*) }
                if isa >= $crate::isa::Isa::Avx512 {
                    // SAFETY: an `Isa` of this level exists only where the processor has these features.
                    return unsafe { avx512($($arg),*) };
                }
                if isa == $crate::isa::Isa::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = isa;
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use per_isa;

/// `a * b + c`, in one rounding where `FMA` says that this is one instruction.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Folds 32 lanes into one number, halving them, so that the compiler does it with vectors.
#[inline(always)]
pub(crate) fn fold(lanes: [f32; 32], with: impl Fn(f32, f32) -> f32) -> f32 {
    let sixteen: [f32; 16] = std::array::from_fn(|i| with(lanes[i], lanes[i + 16]));
    let eight: [f32; 8] = std::array::from_fn(|i| with(sixteen[i], sixteen[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| with(eight[i], eight[i + 4]));
    with(with(four[0], four[2]), with(four[1], four[3]))
}

/// e^x within 2 units in the last place; 0 below -87.3, infinity above 88.7.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const LOWEST: f32 = -87.336_54; // below it the power of two is subnormal
    const HIGHEST: f32 = 88.722_83;
    let inside = x.clamp(LOWEST, HIGHEST);
    let shifted = mul_add::<FMA>(inside, std::f32::consts::LOG2_E, SHIFT);
    let whole = shifted - SHIFT;
    let part = mul_add::<FMA>(whole, -LN2_LOW, mul_add::<FMA>(whole, -LN2_HIGH, inside));
    // Cephes' minimax polynomial for e^r on |r| <= ln(2)/2.
    let mut p = 1.987_569_1e-4;
    p = mul_add::<FMA>(p, part, 1.398_199_9e-3);
    p = mul_add::<FMA>(p, part, 8.333_452e-3);
    p = mul_add::<FMA>(p, part, 4.166_579_6e-2);
    p = mul_add::<FMA>(p, part, 1.666_666_5e-1);
    p = mul_add::<FMA>(p, part, 0.5);
    p = mul_add::<FMA>(p, part * part, part + 1.0);
    // 2^whole in two factors, because 2^128 alone is not a number.
    let bits = shifted.to_bits().wrapping_sub(SHIFT.to_bits()).cast_signed();
    let first = bits >> 1;
    let second = bits - first;
    let power = |e: i32| f32::from_bits((e.wrapping_add(127) as u32) << 23);
    let value = p * power(first) * power(second);
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f32::INFINITY } else { value }
}

/// The error function within 4e-7 (rational minimax approximation on [-4, 4]).
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut p = -2.726_142e-10;
    p = mul_add::<FMA>(p, square, 2.770_681_4e-8);
    p = mul_add::<FMA>(p, square, -2.101_024e-6);
    p = mul_add::<FMA>(p, square, -5.692_506_5e-5);
    p = mul_add::<FMA>(p, square, -7.349_906_3e-4);
    p = mul_add::<FMA>(p, square, -2.954_6e-3);
    p = mul_add::<FMA>(p, square, -1.609_603_3e-2);
    let mut q = -1.456_607_2e-5;
    q = mul_add::<FMA>(q, square, -2.133_740_5e-4);
    q = mul_add::<FMA>(q, square, -1.682_827e-3);
    q = mul_add::<FMA>(q, square, -7.373_329e-3);
    q = mul_add::<FMA>(q, square, -1.426_473_9e-2);
    x * p / q
}

/// A function applied to each output of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// `x/2 (1 + erf(x/sqrt 2))`, what PyTorch calls `gelu`.
    GeluErf,
    /// GELU's tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`, also called swish.
    Silu,
    /// `x sigmoid(1.702 x)`, CLIP's.
    QuickGelu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// All of them, for tests and tables.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::GeluErf,
        Self::GeluTanh,
        Self::Relu,
        Self::Silu,
        Self::QuickGelu,
        Self::Sigmoid,
        Self::Tanh,
    ];

    /// Replaces every value by the function of it, on all threads when there are many.
    ///
    /// Absolute error at most 1e-6 times `max(1, |x|)`.
    pub fn apply(self, values: &mut [f32]) {
        let isa = crate::isa::isa();
        crate::elementwise::for_parts(values, 8, &|_, part| apply(isa, self, part));
    }
}

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// One loop for each function, so that each is a plain vector loop.
macro_rules! map_each {
    ($values:ident, $x:ident => $result:expr) => {
        for value in $values.iter_mut() {
            let $x = *value;
            *value = $result;
        }
    };
}

/// [`Activation::apply`] on the calling thread; inlined into kernels compiled for an instruction set.
#[inline(always)]
pub(crate) fn apply_inline<const FMA: bool>(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => map_each!(values, x => x.max(0.0)),
        Activation::GeluErf => map_each!(values, x => {
            let half = 0.5 * x;
            mul_add::<FMA>(half, erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2), half)
        }),
        // 0.5 (1 + tanh u) is the logistic function of 2u.
        Activation::GeluTanh => map_each!(values, x => {
            let inner = x * mul_add::<FMA>(x * x, 2.0 * 0.797_884_6 * 0.044_715, 2.0 * 0.797_884_6);
            x * sigmoid::<FMA>(inner)
        }),
        Activation::Silu => map_each!(values, x => x * sigmoid::<FMA>(x)),
        Activation::QuickGelu => map_each!(values, x => x * sigmoid::<FMA>(1.702 * x)),
        Activation::Sigmoid => map_each!(values, x => sigmoid::<FMA>(x)),
        Activation::Tanh => map_each!(values, x => mul_add::<FMA>(2.0, sigmoid::<FMA>(2.0 * x), -1.0)),
    }
}

per_isa! {
    /// [`Activation::apply`] on the calling thread.
    pub(crate) fn apply(activation: Activation, values: &mut [f32]) {
        apply_inline::<FMA>(activation, values);
    }
}

per_isa! {
    /// Replaces every value by its exponential.
    pub(crate) fn exp_each(values: &mut [f32]) {
        map_each!(values, x => exp::<FMA>(x));
    }
}

/// Replaces every value by its exponential: within 2 units in the last place, 0 below -87.3.
pub fn exponential(values: &mut [f32]) {
    let isa: Isa = crate::isa::isa();
    crate::elementwise::for_parts(values, 8, &|_, part| exp_each(isa, part));
}
