//! Scans one after the other, each registered onto the one before it, into one map.

use percept_core::register::{PointCloud, Transform};

/// Poses of scans in the coordinates of the first, and the map of what they saw.
pub struct Chain {
    poses: Vec<Transform>,
    map: PointCloud,
}

impl Chain {
    /// Begins with the scan whose coordinates are the map's.
    pub fn new(first: &PointCloud) -> Self {
        let map = PointCloud { attributes: Vec::new(), elements: Vec::new(), ..first.clone() };
        Self { poses: vec![Transform::IDENTITY], map }
    }

    /// Adds a scan; `onto_previous` takes its file's coordinates to those of the scan before it. What not all scans have
    /// (normals, colours, intensity) the map has not.
    pub fn add(&mut self, scan: &PointCloud, onto_previous: &Transform) {
        let pose = self.last_pose().after(onto_previous);
        let moved = scan.moved(&pose.about_origins(scan.origin, self.map.origin), self.map.origin);
        self.poses.push(pose);
        self.map.points.extend(moved.points);
        self.map.normals = joined(self.map.normals.take(), moved.normals);
        self.map.colors = joined(self.map.colors.take(), moved.colors);
        self.map.intensity = joined(self.map.intensity.take(), moved.intensity);
    }

    fn last_pose(&self) -> Transform {
        self.poses.last().copied().unwrap_or(Transform::IDENTITY)
    }

    /// A scan's coordinates to the map's, in the order in which they were added.
    pub fn poses(&self) -> &[Transform] {
        &self.poses
    }

    /// All points so far.
    pub fn map(&self) -> &PointCloud {
        &self.map
    }
}

fn joined<T>(map: Option<Vec<T>>, scan: Option<Vec<T>>) -> Option<Vec<T>> {
    let (mut map, scan) = (map?, scan?);
    map.extend(scan);
    Some(map)
}
