//! Rigid motions of space, with a scale where one is asked for.

use serde::{Deserialize, Serialize};

/// `x` to `scale * rotation * x + translation`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Rows of a rotation matrix: orthonormal, determinant 1.
    pub rotation: [[f64; 3]; 3],
    /// In the unit of the coordinates.
    pub translation: [f64; 3],
    /// 1 for a rigid motion.
    pub scale: f64,
}

impl Default for Transform {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Transform {
    /// Leaves all as it is.
    pub const IDENTITY: Self = Self {
        rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        translation: [0.0; 3],
        scale: 1.0,
    };

    /// Reads a 4 x 4 matrix of rows. The rotation is made orthonormal to full precision where it is so to 1e-3, as it is
    /// in files of few digits.
    ///
    /// # Errors
    /// What is wrong with it, in words that finish "the matrix …".
    pub fn from_matrix(matrix: &[[f64; 4]; 4]) -> Result<Self, String> {
        if matrix.iter().flatten().any(|value| !value.is_finite()) {
            return Err("has a number that is not finite".into());
        }
        let [.., bottom] = matrix;
        if bottom.iter().zip([0.0, 0.0, 0.0, 1.0]).any(|(value, wanted)| (value - wanted).abs() > 1e-9) {
            return Err("does not end with the row 0 0 0 1".into());
        }
        let linear: [[f64; 3]; 3] =
            std::array::from_fn(|row| std::array::from_fn(|column| matrix[row][column]));
        let determinant = determinant(&linear);
        if determinant <= 0.0 {
            return Err("mirrors or flattens space, so it is no rotation".into());
        }
        let scale = determinant.cbrt();
        // Where the file says "no scale" to its last digit, there is none.
        let scale = if (scale - 1.0).abs() < 1e-4 { 1.0 } else { scale };
        let rotation = orthonormal(linear.map(|row| row.map(|value| value / scale)));
        let off = (0..3).flat_map(|row| (0..3).map(move |column| (row, column)));
        let off = off.map(|(row, column)| (rotation[row][column] * scale - linear[row][column]).abs());
        if off.fold(0.0, f64::max) > 1e-3 * scale {
            return Err(
                "is no rotation with one scale: its columns are not orthogonal or not of one length".into()
            );
        }
        Ok(Self { rotation, translation: std::array::from_fn(|row| matrix[row][3]), scale })
    }

    /// Rows of a 4 x 4 matrix.
    pub fn matrix(&self) -> [[f64; 4]; 4] {
        let row = |row: usize| {
            let [x, y, z] = self.rotation[row].map(|value| self.scale * value);
            [x, y, z, self.translation[row]]
        };
        [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
    }

    /// Where a point goes.
    pub fn apply(&self, point: [f64; 3]) -> [f64; 3] {
        let turned = self.rotate(point);
        std::array::from_fn(|axis| self.scale * turned[axis] + self.translation[axis])
    }

    /// Where a direction goes; its length stays.
    pub fn rotate(&self, direction: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = direction;
        self.rotation.map(|row| row[0] * x + row[1] * y + row[2] * z)
    }

    /// `first`, then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let columns: [[f64; 3]; 3] =
            std::array::from_fn(|column| self.rotate(std::array::from_fn(|row| first.rotation[row][column])));
        Self {
            rotation: std::array::from_fn(|row| std::array::from_fn(|column| columns[column][row])),
            translation: self.apply(first.translation),
            scale: self.scale * first.scale,
        }
    }

    /// The way back.
    pub fn inverse(&self) -> Self {
        let rotation: [[f64; 3]; 3] =
            std::array::from_fn(|row| std::array::from_fn(|column| self.rotation[column][row]));
        let scale = 1.0 / self.scale;
        let back = Self { rotation, translation: [0.0; 3], scale };
        Self { translation: back.apply(self.translation).map(|value| -value), ..back }
    }

    /// The same motion in coordinates that are counted from zero, where this one takes what is counted from `source` to
    /// what is counted from `target`.
    ///
    /// Its translation holds differences of large numbers: with map coordinates it keeps about 9 digits behind the point.
    pub fn between_origins(&self, source: [f64; 3], target: [f64; 3]) -> Self {
        let moved = self.rotate(source);
        let translation =
            std::array::from_fn(|axis| (target[axis] - self.scale * moved[axis]) + self.translation[axis]);
        Self { translation, ..*self }
    }

    /// The same motion in coordinates that are counted from `source` and `target`, where this one is in coordinates that
    /// are counted from zero.
    pub fn about_origins(&self, source: [f64; 3], target: [f64; 3]) -> Self {
        let negative = |origin: [f64; 3]| origin.map(|value| -value);
        self.between_origins(negative(source), negative(target))
    }

    /// The angle that it turns by, in degrees, 0 to 180.
    pub fn angle_degrees(&self) -> f64 {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.rotation;
        // From sine and cosine both: either alone is flat somewhere.
        let sine = ((h - f).powi(2) + (c - g).powi(2) + (d - b).powi(2)).sqrt() / 2.0;
        sine.atan2((a + e + i - 1.0) / 2.0).to_degrees()
    }

    /// A turn by the quaternion x, y, z, w, which need not be of length 1, and a shift.
    ///
    /// # Errors
    /// What is wrong with it, in words that finish "the quaternion …".
    pub fn from_quaternion(quaternion: [f64; 4], translation: [f64; 3]) -> Result<Self, String> {
        let length = quaternion.iter().map(|value| value * value).sum::<f64>().sqrt();
        if !length.is_finite() || length < 1e-6 || translation.iter().any(|value| !value.is_finite()) {
            return Err("has no length, or a number that is not finite".into());
        }
        let [x, y, z, w] = quaternion.map(|value| value / length);
        let rotation = [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ];
        Ok(Self { rotation, translation, scale: 1.0 })
    }

    /// x, y, z, w of the rotation as a quaternion, w not negative.
    pub fn quaternion(&self) -> [f64; 4] {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.rotation;
        // Shepperd's method: the largest component first, so that nothing small divides.
        let squares = [1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i, 1.0 + a + e + i];
        let largest = (0..4).fold(0, |best, at| if squares[at] > squares[best] { at } else { best });
        let quaternion = match largest {
            0 => [squares[0], b + d, c + g, h - f],
            1 => [b + d, squares[1], f + h, c - g],
            2 => [c + g, f + h, squares[2], d - b],
            _ => [h - f, c - g, d - b, squares[3]],
        };
        let length = quaternion.iter().map(|value| value * value).sum::<f64>().sqrt();
        let length = if quaternion[3] < 0.0 { -length } else { length };
        quaternion.map(|value| value / length)
    }
}

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// The nearest rotation, by Newton's iteration for the polar factor: `m <- (m + m^-T) / 2` (Higham 1986).
fn orthonormal(mut m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    for _ in 0..20 {
        let scale = 1.0 / determinant(&m);
        let cofactor = |row: usize, column: usize| {
            let (r, s) = ((row + 1) % 3, (row + 2) % 3);
            let (c, d) = ((column + 1) % 3, (column + 2) % 3);
            m[r][c] * m[s][d] - m[r][d] * m[s][c]
        };
        m = std::array::from_fn(|row| {
            std::array::from_fn(|column| (m[row][column] + scale * cofactor(row, column)) / 2.0)
        });
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Transform {
        let (s, c) = 0.7_f64.sin_cos();
        Transform {
            rotation: [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]],
            translation: [4.0, -5.0, 6.0],
            scale: 1.5,
        }
    }

    fn near(a: [f64; 3], b: [f64; 3], bound: f64) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= bound), "{a:?} {b:?}");
    }

    #[test]
    fn there_and_back_is_nothing() {
        let there = turn();
        near(there.inverse().apply(there.apply([1.0, 2.0, 3.0])), [1.0, 2.0, 3.0], 1e-14);
        near(there.after(&there.inverse()).apply([7.0, 8.0, 9.0]), [7.0, 8.0, 9.0], 1e-13);
    }

    #[test]
    fn origins_change_the_coordinates_and_not_the_motion() {
        let (source, target) = ([6e5, 5e6, 0.0], [6.01e5, 5.002e6, 100.0]);
        let local = turn();
        let whole = local.between_origins(source, target);
        let point = [1.0, 2.0, 3.0];
        let far = std::array::from_fn(|axis| source[axis] + point[axis]);
        let want = local.apply(point);
        near(whole.apply(far), std::array::from_fn(|axis| target[axis] + want[axis]), 1e-8);
        near(whole.about_origins(source, target).translation, local.translation, 1e-8);
    }

    #[test]
    fn rounded_matrices_are_rotations_again_and_others_are_refused() {
        let rounded = [
            [0.999925, 0.0121483, -0.00177009, 0.488882],
            [-0.0121523, 0.999924, -0.00228657, 0.121214],
            [0.00174218, 0.00230791, 0.999996, -0.0253342],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let transform = Transform::from_matrix(&rounded).unwrap();
        assert_eq!(transform.scale, 1.0);
        assert!((determinant(&transform.rotation) - 1.0).abs() < 1e-15);
        assert!((transform.angle_degrees() - 0.715).abs() < 1e-3, "{}", transform.angle_degrees());
        let sheared =
            [[1.0, 0.3, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert!(Transform::from_matrix(&sheared).is_err());
        let mirror =
            [[-1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert!(Transform::from_matrix(&mirror).unwrap_err().contains("mirrors"));
        let matrix = turn().matrix();
        near(
            Transform::from_matrix(&matrix).unwrap().apply([1.0, 2.0, 3.0]),
            turn().apply([1.0, 2.0, 3.0]),
            1e-12,
        );
    }

    #[test]
    fn a_quaternion_is_of_the_half_angle() {
        let [x, y, z, w] = turn().quaternion();
        near([x, y, z], [0.0, 0.0, 0.35_f64.sin()], 1e-15);
        assert!((w - 0.35_f64.cos()).abs() < 1e-15);
        let half = Transform { rotation: [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]], ..turn() };
        near(half.quaternion()[..3].try_into().unwrap(), [0.0, 0.0, 1.0], 1e-15);
        assert_eq!(half.angle_degrees(), 180.0);
    }
}
