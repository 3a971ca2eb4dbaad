//! Columns by name to a point cloud: which are coordinates, normals, colours, intensity; what is dropped.

use percept_core::cloud::{Attribute, Element, PointCloud, Scalar, Values};

use super::failure::Failure;

/// What a file has for its points, and besides.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Columns of one length.
    pub(super) columns: Vec<Attribute>,
    /// Before and behind the points, such as faces.
    pub(super) elements: Vec<Element>,
}

/// A cloud and what became of the file's points.
pub(super) struct Assembled {
    pub(super) cloud: PointCloud,
    pub(super) points: usize,
    pub(super) dropped: usize,
    pub(super) has: Vec<String>,
    pub(super) warnings: Vec<String>,
}

const NORMALS: &[[&str; 3]] =
    &[["nx", "ny", "nz"], ["normal_x", "normal_y", "normal_z"], ["normalx", "normaly", "normalz"]];
const COLORS: &[[&str; 3]] =
    &[["red", "green", "blue"], ["r", "g", "b"], ["diffuse_red", "diffuse_green", "diffuse_blue"]];
const INTENSITY: &[&str] = &["intensity", "scalar_intensity", "reflectance", "scalar_reflectance"];

/// A column of numbers.
pub(super) fn scalars(name: &str, kind: Scalar, values: Vec<f64>) -> Attribute {
    Attribute { name: name.to_owned(), values: Values::Scalars { kind, values } }
}

impl Table {
    /// The cloud.
    pub(super) fn assemble(mut self) -> Result<Assembled, Failure> {
        let points = self.columns.first().map_or(0, |column| column.values.len());
        let Some(coordinates) = self.take(&["x", "y", "z"]) else {
            let names: Vec<_> = self.columns.iter().map(|column| format!("`{}`", column.name)).collect();
            return Err(Failure::NoCoordinates(if names.is_empty() {
                "no columns at all".into()
            } else {
                format!("its columns are {}", names.join(", "))
            }));
        };
        if points == 0 {
            return Err(Failure::NoPoints);
        }
        let [(_, x), (_, y), (_, z)] = &coordinates;
        let keep: Vec<bool> =
            (0..points).map(|at| x[at].is_finite() && y[at].is_finite() && z[at].is_finite()).collect();
        let dropped = keep.iter().filter(|keep| !**keep).count();
        if dropped == points {
            return Err(Failure::NotFinite(points));
        }
        let mut warnings = Vec::new();
        if dropped > 0 {
            warnings
                .push(format!("{dropped} of {points} points have no finite coordinates and were dropped"));
            if !self.elements.is_empty() {
                // They speak of points by number.
                self.elements.clear();
                warnings.push("faces and the like were dropped with them".into());
            }
            for column in &mut self.columns {
                match &mut column.values {
                    Values::Scalars { values, .. } => retain(values, &keep),
                    Values::Lists { values, .. } => retain(values, &keep),
                }
            }
        }
        let places = (0..points).filter(|at| keep[*at]).map(|at| [x[at], y[at], z[at]]).collect();
        drop(coordinates);
        let mut cloud = PointCloud::new(places);
        cloud.normals = take_first(&mut self, NORMALS).map(|[x, y, z]| {
            let normal = |at: usize| {
                let normal = [x.1[at], y.1[at], z.1[at]].map(|value| value as f32);
                if normal.iter().all(|value| value.is_finite()) { normal } else { [0.0; 3] }
            };
            (0..cloud.len()).map(normal).collect()
        });
        cloud.colors = take_first(&mut self, COLORS).map(|[red, green, blue]| {
            let color = |at: usize| [&red, &green, &blue].map(|(kind, values)| sixteen(*kind, values[at]));
            (0..cloud.len()).map(color).collect()
        });
        let intensity = INTENSITY.iter().find_map(|name| self.take(&[name]));
        cloud.intensity = intensity.map(|[(_, values)]| values);
        cloud.attributes = self.columns;
        cloud.elements = self.elements;
        let named = [
            ("normals", cloud.normals.is_some()),
            ("colors", cloud.colors.is_some()),
            ("intensity", cloud.intensity.is_some()),
        ];
        let named = named.iter().filter(|(_, there)| *there).map(|(name, _)| (*name).to_owned());
        let has = named.chain(cloud.attributes.iter().map(|attribute| attribute.name.clone())).collect();
        Ok(Assembled { cloud, points, dropped, has, warnings })
    }

    /// Takes columns of numbers out, if all of them are there. Case does not matter.
    fn take<const N: usize>(&mut self, names: &[&str; N]) -> Option<[(Scalar, Vec<f64>); N]> {
        let find = |name: &str| {
            self.columns.iter().position(|column| {
                column.name.eq_ignore_ascii_case(name) && matches!(column.values, Values::Scalars { .. })
            })
        };
        if names.iter().any(|name| find(name).is_none()) {
            return None;
        }
        Some(names.map(|name| {
            let at = self.columns.iter().position(|column| {
                column.name.eq_ignore_ascii_case(name) && matches!(column.values, Values::Scalars { .. })
            });
            let at = at.expect("it was there above, and the names differ");
            match self.columns.remove(at).values {
                Values::Scalars { kind, values } => (kind, values),
                Values::Lists { .. } => unreachable!("only numbers are found"),
            }
        }))
    }
}

fn take_first(table: &mut Table, names: &[[&str; 3]]) -> Option<[(Scalar, Vec<f64>); 3]> {
    names.iter().find_map(|names| table.take(names))
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| *keep.next().unwrap_or(&false));
}

/// A channel as 16 bits. Floats are 0 to 1.
fn sixteen(kind: Scalar, value: f64) -> u16 {
    match kind {
        Scalar::F32 | Scalar::F64 => (value * 65_535.0).round() as u16,
        Scalar::I8 | Scalar::U8 => value.clamp(0.0, 255.0) as u16 * 257,
        // Wider whole numbers hold 8 bits in every file that was seen, but for those of 16 bits.
        Scalar::I32 | Scalar::U32 if value <= 255.0 => value.max(0.0) as u16 * 257,
        _ => value as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Scalar, &[f64])]) -> Table {
        let columns = columns.iter().map(|(name, kind, values)| scalars(name, *kind, values.to_vec()));
        Table { columns: columns.collect(), elements: vec![] }
    }

    #[test]
    fn points_that_are_not_finite_are_dropped_with_all_that_they_have() {
        let found = table(&[
            ("X", Scalar::F64, &[1.0, f64::NAN, 3.0]),
            ("Y", Scalar::F64, &[1.0, 2.0, 3.0]),
            ("Z", Scalar::F64, &[1.0, 2.0, 3.0]),
            ("red", Scalar::U8, &[1.0, 2.0, 255.0]),
            ("green", Scalar::U8, &[0.0, 0.0, 0.0]),
            ("blue", Scalar::U8, &[0.0, 0.0, 0.0]),
            ("ring", Scalar::U16, &[7.0, 8.0, 9.0]),
            ("scalar_Intensity", Scalar::F32, &[0.1, 0.2, 0.3]),
        ]);
        let found = found.assemble().unwrap();
        assert_eq!((found.points, found.dropped), (3, 1));
        assert_eq!(found.cloud.points, [[1.0; 3], [3.0; 3]]);
        assert_eq!(found.cloud.colors, Some(vec![[257, 0, 0], [65_535, 0, 0]]));
        assert_eq!(found.cloud.intensity, Some(vec![0.1, 0.3]));
        assert_eq!(found.cloud.attributes, [scalars("ring", Scalar::U16, vec![7.0, 9.0])]);
        assert_eq!(found.has, ["colors", "intensity", "ring"]);
    }

    #[test]
    fn a_cloud_without_a_place_is_refused() {
        let error =
            table(&[("x", Scalar::F32, &[1.0]), ("y", Scalar::F32, &[1.0])]).assemble().err().unwrap();
        assert!(error.to_string().contains("`x`, `y`"), "{error}");
        let nan = [f64::NAN, f64::INFINITY];
        let error = table(&[("x", Scalar::F32, &nan), ("y", Scalar::F32, &nan), ("z", Scalar::F32, &nan)]);
        assert!(matches!(error.assemble(), Err(Failure::NotFinite(2))));
    }
}
