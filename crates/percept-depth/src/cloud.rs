//! From metres to points in space.

use percept_core::cloud::PointCloud;
use percept_core::depth::{DepthMap, DepthUnit, Image};
use percept_core::{Error, Result};

/// Surfaces that the line of sight meets at a smaller angle than about two degrees are not there: where a network blurs
/// the edge of a thing it puts points between the thing and what stands behind it ("flying pixels"). This is the tangent's
/// inverse.
const STEEPEST: f32 = 28.6;

/// The points of a map of metres in the colours of its picture, seen by a pinhole camera with the optical axis in the
/// middle of the picture and a focal length of `focal` pixels. Axes are those of the camera: x to the right, y down, z
/// forward, in metres. Points on edges, which lie neither on the thing nor on what is behind it, are left out, as is what
/// is not in front of the camera.
///
/// # Errors
/// [`Error::Argument`]: the map is not in metres, the focal length is not positive, or the picture has another size.
pub fn point_cloud(map: &DepthMap, image: &Image, focal: f32) -> Result<PointCloud> {
    if map.unit != DepthUnit::Metres {
        return Err(Error::Argument {
            message: "relative depth has no points in space: its scale and shift are unknown".into(),
            hint: Some("a model of metres makes them, such as depth-pro".into()),
        });
    }
    if !(focal.is_finite() && focal > 0.0) {
        return Err(Error::argument(format!("a focal length of {focal} pixels")));
    }
    if image.size() != (map.width, map.height) {
        return Err(Error::argument("the picture and its depth have different sizes"));
    }
    let (width, height) = (map.width as usize, map.height as usize);
    let (centre_x, centre_y) = (f64::from(map.width) / 2.0, f64::from(map.height) / 2.0);
    let at = |x: usize, y: usize| map.values[y * width + x];
    let steep = |x: usize, y: usize| {
        let here = at(x, y);
        let most = here * STEEPEST / focal;
        let beside = [
            (x > 0).then(|| at(x - 1, y)),
            (x + 1 < width).then(|| at(x + 1, y)),
            (y > 0).then(|| at(x, y - 1)),
            (y + 1 < height).then(|| at(x, y + 1)),
        ];
        beside.into_iter().flatten().any(|other| (other - here).abs() > most)
    };
    let mut points = Vec::with_capacity(width * height);
    let mut colors = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let depth = at(x, y);
            if depth <= 0.0 || steep(x, y) {
                continue;
            }
            let scale = f64::from(depth) / f64::from(focal);
            points.push([
                (x as f64 + 0.5 - centre_x) * scale,
                (y as f64 + 0.5 - centre_y) * scale,
                f64::from(depth),
            ]);
            let rgb = &image.rgb[3 * (y * width + x)..][..3];
            colors.push([rgb[0], rgb[1], rgb[2]].map(|value| 257 * u16::from(value)));
        }
    }
    Ok(PointCloud { points, colors: Some(colors), ..PointCloud::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(depth: impl Fn(f32, f32) -> f32, focal: f32) -> PointCloud {
        let (width, height) = (160_u32, 120_u32);
        let at = |index: u32| depth((index % width) as f32 + 0.5 - 80.0, (index / width) as f32 + 0.5 - 60.0);
        let values = (0..width * height).map(at).collect();
        let map = DepthMap { width, height, values, unit: DepthUnit::Metres, focal: None };
        point_cloud(&map, &Image::new(width, height, vec![7; 3 * 160 * 120]), focal).unwrap()
    }

    #[test]
    fn a_plane_comes_back_as_a_plane() {
        let wall = cloud(|_, _| 2.0, 100.0);
        assert_eq!(wall.points.len(), 160 * 120);
        assert_eq!(wall.points[0], [-79.5 * 0.02, -59.5 * 0.02, 2.0]);
        assert_eq!(wall.colors.unwrap()[5], [7 * 257; 3]);
        // n · p = 2 with n = (0.6, 0, 0.8): turned by 37 degrees.
        let turned = cloud(|u, _| 2.0 / (0.6 * u / 100.0 + 0.8), 100.0);
        assert_eq!(turned.points.len(), 160 * 120);
        assert!(turned.points.iter().all(|[x, _, z]| (0.6 * x + 0.8 * z - 2.0).abs() < 1e-5));
    }

    #[test]
    fn what_flies_at_edges_is_left_out() {
        // A box 1 m away before a wall at 3 m, the edge blurred over 2 pixels.
        let blurred = cloud(|u, _| 1.0 + 2.0 * ((u.abs() - 30.0) / 2.0).clamp(0.0, 1.0), 200.0);
        let near = |depth: f64| blurred.points.iter().filter(|point| (point[2] - depth).abs() < 1e-6).count();
        assert_eq!(near(1.0) + near(3.0), blurred.points.len());
        assert!(near(1.0) >= 120 * 58 && near(3.0) >= 120 * 86, "{} {}", near(1.0), near(3.0));
    }

    #[test]
    fn relative_depth_has_no_points() {
        let map = DepthMap {
            width: 1,
            height: 1,
            values: vec![1.0],
            unit: DepthUnit::RelativeInverse,
            focal: None,
        };
        let error = point_cloud(&map, &Image::new(1, 1, vec![0; 3]), 1.0).unwrap_err();
        assert!(error.chain().contains("scale"), "{error}");
    }
}
