//! What the surface around a point looks like: fast point feature histograms (FPFH: Rusu et al. 2009).
//!
//! With normals whose sign means something (both clouds' files have them), the histograms are those of Open3D and PCL.
//! Without, the sign of an estimated normal is noise. Then neighbours' normals take the sign of the point's own, a point's
//! histogram is turned round where it was made with the other sign, and the sign of the point itself is the one by which
//! more of its neighbours lie behind it.

use nalgebra::Vector3;
use rayon::prelude::*;

use crate::tree::{Neighbor, Tree};

/// Bins of each of the three angles.
const BINS: usize = 11;
/// Numbers of a feature.
pub(crate) const LENGTH: usize = 3 * BINS;

pub(crate) type Feature = [f32; LENGTH];

/// Whether the sign of a normal means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    Told,
    Unknown,
}

/// The features of all points, from the neighbours nearer than `radius`, the nearest `most` of them.
pub(crate) fn features(
    points: &[Vector3<f64>],
    normals: &[Vector3<f64>],
    tree: &Tree,
    (radius, most): (f64, usize),
    sides: Sides,
) -> Vec<Feature> {
    let around = neighborhoods(points, tree, radius, most);
    let simple: Vec<Feature> =
        (0..points.len()).into_par_iter().map(|at| simple(points, normals, at, &around[at], sides)).collect();
    (0..points.len())
        .into_par_iter()
        .map(|at| {
            // Histograms as they are, and those that were made with the other sign.
            let mut sums = [[0.0_f32; LENGTH]; 2];
            for neighbor in &around[at][1..] {
                if neighbor.squared <= 0.0 {
                    continue;
                }
                let other = neighbor.index as usize;
                let turned = sides == Sides::Unknown && normals[at].dot(&normals[other]) < 0.0;
                let weight = 1.0 / neighbor.squared;
                for (sum, value) in sums[usize::from(turned)].iter_mut().zip(&simple[other]) {
                    *sum += weight * value;
                }
            }
            let [sum, turned] = sums;
            let sum: Feature = std::array::from_fn(|bin| sum[bin] + turned[place(bin)]);
            let mut feature = [0.0; LENGTH];
            for angle in 0..3 {
                let bins = angle * BINS..(angle + 1) * BINS;
                let total: f32 = sum[bins.clone()].iter().sum();
                let scale = if total > 0.0 { 100.0 / total } else { 0.0 };
                for bin in bins {
                    feature[bin] = sum[bin] * scale + simple[at][bin];
                }
            }
            if sides == Sides::Unknown { faced(&feature) } else { feature }
        })
        .collect()
}

/// Where a bin is found in a histogram that was made with the other sign: the first and the third angle change theirs.
fn place(bin: usize) -> usize {
    let angle = bin / BINS;
    if angle != 1 { (2 * angle + 1) * BINS - 1 - bin } else { bin }
}

/// The feature with the sign by which more neighbours lie behind the point.
fn faced(feature: &Feature) -> Feature {
    let side: f32 =
        (0..BINS).map(|bin| (bin as f32 - (BINS - 1) as f32 / 2.0) * feature[2 * BINS + bin]).sum();
    if side <= 0.0 {
        return *feature;
    }
    std::array::from_fn(|bin| feature[place(bin)])
}

/// The points nearer than `radius`, itself first.
fn neighborhoods(points: &[Vector3<f64>], tree: &Tree, radius: f64, most: usize) -> Vec<Vec<Neighbor>> {
    let chunks: Vec<Vec<Vec<Neighbor>>> = points
        .par_chunks(256)
        .enumerate()
        .map(|(chunk, queries)| {
            let mut found = Vec::new();
            let all = queries.iter().enumerate().map(|(at, query)| {
                tree.within(query, radius, &mut found);
                let own = (chunk * 256 + at) as u32;
                let order =
                    |neighbor: &Neighbor| (neighbor.index != own, neighbor.squared.to_bits(), neighbor.index);
                if found.len() > most {
                    found.select_nth_unstable_by_key(most - 1, order);
                    found.truncate(most);
                }
                // The point itself first; the rest as the tree has them, which is the same for the same points.
                if let Some(own) = found.iter().position(|neighbor| neighbor.index == own) {
                    found.swap(0, own);
                }
                found.clone()
            });
            all.collect()
        })
        .collect();
    chunks.into_iter().flatten().collect()
}

/// The simple histogram of a point: three angles with each neighbour, 100 in all for each.
fn simple(
    points: &[Vector3<f64>],
    normals: &[Vector3<f64>],
    at: usize,
    around: &[Neighbor],
    sides: Sides,
) -> Feature {
    let mut feature = [0.0; LENGTH];
    let increment = 100.0 / (around.len().max(2) - 1) as f32;
    for neighbor in &around[1..] {
        let other = neighbor.index as usize;
        let normal = match sides {
            Sides::Unknown if normals[at].dot(&normals[other]) < 0.0 => -normals[other],
            _ => normals[other],
        };
        let angles = angles(&points[at], &normals[at], &points[other], &normal);
        let pi = std::f64::consts::PI;
        let parts = [(angles[0] + pi) / (2.0 * pi), (angles[1] + 1.0) / 2.0, (angles[2] + 1.0) / 2.0];
        for (angle, part) in parts.into_iter().enumerate() {
            // The cast rounds down, and makes 0 of what lies below.
            let bin = ((BINS as f64 * part) as usize).min(BINS - 1);
            feature[angle * BINS + bin] += increment;
        }
    }
    feature
}

/// The angles between two points with normals (Rusu et al. 2009): theta, and the cosines of alpha and phi. Of the two, that
/// one is the origin of the frame whose normal makes the smaller angle with the line between them.
fn angles(p: &Vector3<f64>, p_normal: &Vector3<f64>, q: &Vector3<f64>, q_normal: &Vector3<f64>) -> [f64; 3] {
    let between = q - p;
    let distance = between.norm();
    if distance == 0.0 {
        return [0.0; 3];
    }
    let (from_p, from_q) = (p_normal.dot(&between) / distance, q_normal.dot(&between) / distance);
    let (u, other, between, phi) = if from_p.abs() < from_q.abs() {
        (q_normal, p_normal, -between, -from_q)
    } else {
        (p_normal, q_normal, between, from_p)
    };
    let v = between.cross(u);
    let length = v.norm();
    if length == 0.0 {
        return [0.0; 3];
    }
    let v = v / length;
    let w = u.cross(&v);
    [w.dot(other).atan2(u.dot(other)), v.dot(other), phi]
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::Rotation3;

    /// A bumpy sheet: nothing about it is symmetric.
    fn sheet() -> (Vec<Vector3<f64>>, Vec<Vector3<f64>>) {
        let mut points = Vec::new();
        let mut normals = Vec::new();
        for at in 0..900 {
            let (x, y) = (f64::from(at % 30) * 0.1, f64::from(at / 30) * 0.1);
            let height = 0.3 * (2.0 * x).sin() * (1.3 * y + 0.4).cos() + 0.1 * (x * y).sin();
            points.push(Vector3::new(x, y, height));
            let dx = 0.6 * (2.0 * x).cos() * (1.3 * y + 0.4).cos() + 0.1 * y * (x * y).cos();
            let dy = -0.39 * (2.0 * x).sin() * (1.3 * y + 0.4).sin() + 0.1 * x * (x * y).cos();
            normals.push(Vector3::new(-dx, -dy, 1.0).normalize());
        }
        (points, normals)
    }

    /// Open3D's, with normals that face a camera (`tests/reference/register.py`).
    #[test]
    fn features_are_those_of_open3d() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/register/fpfh.json");
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let rows = |key: &str| -> Vec<Vec<f64>> { serde_json::from_value(golden[key].clone()).unwrap() };
        let vectors = |key| rows(key).iter().map(|row| Vector3::from_column_slice(row)).collect::<Vec<_>>();
        let (points, normals) = (vectors("points"), vectors("normals"));
        let found = features(&points, &normals, &Tree::new(&points), (0.8, 60), Sides::Told);
        let want = rows("features");
        assert_eq!(found.len(), want.len());
        let far = found.iter().zip(&want).filter(|(found, want)| {
            found.iter().zip(want.iter()).any(|(found, want)| (f64::from(*found) - want).abs() > 0.05)
        });
        // An angle on the edge of two bins may fall to either side.
        let far = far.count();
        assert!(far <= found.len() / 50, "{far} of {} differ", found.len());
    }

    #[test]
    fn neither_a_motion_nor_unknown_signs_change_a_feature() {
        let (points, normals) = sheet();
        let turn = Rotation3::new(Vector3::new(1.0, -0.5, 2.0));
        let moved: Vec<_> = points.iter().map(|point| turn * point + Vector3::new(3.0, 2.0, 1.0)).collect();
        // Signs at random.
        let turned: Vec<_> = normals
            .iter()
            .enumerate()
            .map(|(at, normal)| turn * normal * if at * 7919 % 5 < 2 { -1.0 } else { 1.0 })
            .collect();
        let of = |points: &[Vector3<f64>], normals: &[Vector3<f64>]| {
            features(points, normals, &Tree::new(points), (0.35, 100), Sides::Unknown)
        };
        let (before, after) = (of(&points, &normals), of(&moved, &turned));
        // A pair on the edge of a bin may change it by the last bit of a sum.
        let differ = before.iter().zip(&after).filter(|(before, after)| {
            before.iter().zip(after.iter()).map(|(b, a)| (b - a).abs()).sum::<f32>() > 30.0
        });
        assert!(differ.count() < 20);
    }
}
