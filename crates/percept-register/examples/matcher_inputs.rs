//! Writes what the learned matcher sees of pairs of clouds: what `tests/reference/train_register_matcher.py` trains on.
//!
//! `matcher_inputs FOLDER [matches]`: every `NAME.in` there (two numbers of points, u32; then the points, f32) becomes `NAME.out`: for
//! each cloud the unit (f64), its numbers of key points and super-points (u32), key points (f32, in the clouds' coordinates),
//! normals (f32), features (f32), super-points (u32). With `matches`, behind both, those by
//! FPFH and those by the network: how many there are (u32), and places in the key points of both (u32). All little-endian.

use std::path::PathBuf;

use percept_core::register::PointCloud;
use percept_register::learned;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args().nth(1).ok_or("matcher_inputs FOLDER [matches]")?.into();
    let matched = std::env::args().nth(2).is_some();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "in"));
    for path in paths {
        let bytes = std::fs::read(&path)?;
        let mut numbers = bytes.chunks_exact(4).map(|chunk| <[u8; 4]>::try_from(chunk).unwrap_or_default());
        let mut count = || numbers.next().map_or(0, u32::from_le_bytes) as usize;
        let counts = [count(), count()];
        let values: Vec<f64> = numbers.map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect();
        let (points, _) = values.as_chunks::<3>();
        let (source, target) = points.split_at(counts[0].min(points.len()));
        let (seen, middles) =
            learned::see(&PointCloud::new(source.to_vec()), &PointCloud::new(target.to_vec()));
        let mut out: Vec<u8> = Vec::new();
        for (seen, middle) in seen.iter().zip(middles) {
            out.extend(seen.unit.to_le_bytes());
            out.extend((seen.points().len() as u32).to_le_bytes());
            out.extend((seen.nodes.len() as u32).to_le_bytes());
            let points = seen.points().iter().map(|point| point * seen.unit + middle);
            let places = points.chain(seen.normals().iter().copied());
            out.extend(
                places
                    .flat_map(|place| [place.x, place.y, place.z])
                    .flat_map(|value| (value as f32).to_le_bytes()),
            );
            out.extend(seen.features().iter().flatten().flat_map(|value| value.to_le_bytes()));
            out.extend(seen.nodes.iter().flat_map(|at| at.to_le_bytes()));
        }
        if matched {
            let [source, target] = &seen;
            let by_network = learned::matches(source, target).unwrap_or_default();
            for matches in [learned::matches_of_features(source, target), by_network] {
                out.extend((matches.len() as u32).to_le_bytes());
                out.extend(
                    matches
                        .iter()
                        .flat_map(|(one, other)| [*one as u32, *other as u32])
                        .flat_map(u32::to_le_bytes),
                );
            }
        }
        std::fs::write(path.with_extension("out"), out)?;
    }
    Ok(())
}
