//! Point clouds, as every reader gives them and every writer takes them.

use crate::transform::Transform;

/// Points in space with what is known of each.
///
/// Coordinates are f64 about a local origin, so that numbers of the size of map coordinates (UTM: 6e5, 5e6) lose
/// nothing in squares and products. A point's coordinates in its file are `origin + point`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointCloud {
    /// What `points` are counted from, in the file's coordinates and unit.
    pub origin: [f64; 3],
    /// x, y, z less `origin`. All finite.
    pub points: Vec<[f64; 3]>,
    /// Directions of the surface, one a point. Zero where a file has none for a point.
    pub normals: Option<Vec<[f32; 3]>>,
    /// Red, green, blue of 16 bits, one a point; a file's 8-bit value `v` is `257 v`.
    pub colors: Option<Vec<[u16; 3]>>,
    /// Strength of the echo in the file's unit, one a point.
    pub intensity: Option<Vec<f64>>,
    /// All else that the file has for each point.
    pub attributes: Vec<Attribute>,
    /// What the file has besides points, such as faces.
    pub elements: Vec<Element>,
}

/// A named column.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name in the file.
    pub name: String,
    /// Its values, one an item.
    pub values: Values,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// One number an item. Every type of number that a file has fits into f64, unless it is a 64-bit integer.
    Scalars {
        /// The type in the file.
        kind: Scalar,
        /// The numbers.
        values: Vec<f64>,
    },
    /// A list of numbers an item.
    Lists {
        /// The type of the lengths in the file.
        length: Scalar,
        /// The type of the numbers in the file.
        kind: Scalar,
        /// The lists.
        values: Vec<Vec<f64>>,
    },
}

/// A type of number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
    /// Float, 32 bits.
    F32,
    /// Float, 64 bits.
    F64,
}

impl Scalar {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Something that a file has besides points.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its name in the file, such as `face`.
    pub name: String,
    /// How many there are.
    pub count: usize,
    /// Its columns.
    pub attributes: Vec<Attribute>,
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Scalars { values, .. } => values.len(),
            Self::Lists { values, .. } => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Coordinates beyond this get an origin of their own.
const FAR: f64 = 1e4;
/// Origins are multiples of this, so that two clouds of one place share theirs and people can read it.
const ROUND: f64 = 1e3;

impl PointCloud {
    /// Of coordinates as a file has them; moves them to a local origin where they are large.
    ///
    /// The origin is zero in every axis in which the middle of the cloud is less than 10 km (10 000 units) away, and else
    /// the middle rounded to 1000. It does not depend on the order of the points.
    pub fn new(mut points: Vec<[f64; 3]>) -> Self {
        let origin = local_origin(&points);
        for point in &mut points {
            for axis in 0..3 {
                point[axis] -= origin[axis];
            }
        }
        Self { origin, points, ..Self::default() }
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Smallest and largest coordinates about the origin; none of an empty cloud.
    pub fn bounds(&self) -> Option<([f64; 3], [f64; 3])> {
        bounds(&self.points)
    }

    /// The same cloud elsewhere: `local` takes its points to points about `origin`. Normals turn with it.
    pub fn moved(&self, local: &Transform, origin: [f64; 3]) -> Self {
        let mut moved = self.clone();
        moved.origin = origin;
        for point in &mut moved.points {
            *point = local.apply(*point);
        }
        for normal in moved.normals.iter_mut().flatten() {
            *normal = local.rotate(normal.map(f64::from)).map(|value| value as f32);
        }
        moved
    }
}

fn bounds(points: &[[f64; 3]]) -> Option<([f64; 3], [f64; 3])> {
    let first = *points.first()?;
    Some(points.iter().fold((first, first), |(low, high), point| {
        let pick = |choose: fn(f64, f64) -> f64, from: [f64; 3]| {
            std::array::from_fn(|axis| choose(from[axis], point[axis]))
        };
        (pick(f64::min, low), pick(f64::max, high))
    }))
}

fn local_origin(points: &[[f64; 3]]) -> [f64; 3] {
    let Some((low, high)) = bounds(points) else { return [0.0; 3] };
    std::array::from_fn(|axis| {
        let middle = low[axis] / 2.0 + high[axis] / 2.0;
        if middle.abs() < FAR { 0.0 } else { (middle / ROUND).round() * ROUND }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_coordinates_get_an_origin_and_small_ones_none() {
        let cloud = PointCloud::new(vec![[600_001.25, 5_000_499.0, 7.0], [600_003.25, 5_000_400.0, 9.5]]);
        assert_eq!(cloud.origin, [600_000.0, 5_000_000.0, 0.0]);
        assert_eq!(cloud.points, [[1.25, 499.0, 7.0], [3.25, 400.0, 9.5]]);
        assert_eq!(PointCloud::new(vec![[-80.0, 70.0, 1.0]]).origin, [0.0; 3]);
        assert_eq!(PointCloud::new(vec![]), PointCloud::default());
    }

    #[test]
    fn normals_turn_and_points_move() {
        let mut cloud = PointCloud::new(vec![[1.0, 0.0, 0.0]]);
        cloud.normals = Some(vec![[1.0, 0.0, 0.0]]);
        let turn = Transform {
            rotation: [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
            translation: [0.0, 0.0, 5.0],
            scale: 2.0,
        };
        let moved = cloud.moved(&turn, [10.0, 0.0, 0.0]);
        assert_eq!(moved.points, [[0.0, 2.0, 5.0]]);
        assert_eq!(moved.normals, Some(vec![[0.0, 1.0, 0.0]]));
        assert_eq!(moved.origin, [10.0, 0.0, 0.0]);
    }
}
