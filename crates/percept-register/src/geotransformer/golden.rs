//! The network against the authors' code, stage by stage (`tests/reference/geotransformer.py`). Their points of a stage come
//! in the order of a hash table: what is compared is brought into their order first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use percept_backbone::{Device, Tensor};
use percept_core::register::{Fine, RegisterOptions};
use percept_golden::{error, fixture, numbers, runtime, snapshot};

use super::pyramid::{NONE, Near};
use super::*;
use crate::geometric::embedding::GeometricEmbedding;

const EXPERIMENTS: [&str; 3] = ["3dmatch", "kitti", "modelnet"];
/// Part of the largest value.
const MOST: f32 = 2e-5;

type Fixture = BTreeMap<String, Tensor>;

fn loaded(name: &str) -> GeoTransformer {
    GeoTransformer::load(&snapshot(&format!("geotransformer/{name}"), &[]), &runtime(Precision::Auto))
        .unwrap()
}

fn points(tensor: &Tensor) -> Vec<[f32; 3]> {
    numbers(tensor).as_chunks().0.to_vec()
}

fn answered(name: &str) -> (Answer, Fixture) {
    let fixture = fixture(&format!("geotransformer/{name}"));
    let clouds = ["ref_points", "src_points"].map(|side| points(&fixture[side]));
    (loaded(name).network.run(clouds, name).unwrap(), fixture)
}

/// For each of their points of a stage ours, by its index.
fn order(answer: &Answer, fixture: &Fixture, stage: usize) -> Vec<usize> {
    let ours = &answer.stages[stage];
    if stage == 0 {
        return (0..ours.points.len()).collect();
    }
    let theirs = points(&fixture[&format!("points.{stage}")]);
    let lengths = numbers(&fixture[&format!("lengths.{stage}")]);
    assert_eq!(ours.split, lengths[0] as usize);
    assert_eq!(ours.points.len(), theirs.len());
    let off = |left: &[f32; 3], right: &[f32; 3]| {
        (0..3).map(|axis| (left[axis] - right[axis]).abs()).fold(0.0, f32::max)
    };
    let find = |(at, point): (usize, &[f32; 3])| {
        let own = if at < ours.split { 0..ours.split } else { ours.split..ours.points.len() };
        let mut same = own.filter(|index| off(&ours.points[*index], point) < 2e-6);
        let found = same.next().unwrap_or_else(|| panic!("stage {stage}: {point:?} is not there"));
        assert_eq!(same.next(), None);
        found
    };
    theirs.iter().enumerate().map(find).collect()
}

fn same(left: [f32; 3], right: [f32; 3]) -> bool {
    (0..3).all(|axis| (left[axis] - right[axis]).abs() < 2e-6)
}

fn in_order(rows: &convolution::Rows, order: &[usize]) -> Tensor {
    let values = order.iter().flat_map(|at| rows.row(*at).to_vec()).collect::<Vec<_>>();
    Tensor::from_vec(values, (order.len(), rows.channels), &Device::Cpu).unwrap()
}

/// Their table as indices of our points; the number behind the last is none.
fn table(planes: &Tensor, order: &[usize]) -> Vec<BTreeSet<usize>> {
    let (_, width, _) = planes.dims3().unwrap();
    let planes = numbers(planes);
    let index = |[high, low]: &[f32; 2]| 256 * *high as usize + *low as usize;
    let indices: Vec<usize> = planes.as_chunks().0.iter().map(index).collect();
    let row = |row: &[usize]| row.iter().filter_map(|index| order.get(*index).copied()).collect();
    indices.chunks(width).map(row).collect()
}

fn assert_near(near: &Near, planes: &Tensor, queries: &[usize], supports: &[usize], what: &str) {
    assert_eq!(near.width, planes.dims()[1], "{what}");
    let theirs = table(planes, supports);
    for (query, theirs) in queries.iter().zip(theirs) {
        let ours = near.indices[query * near.width..][..near.width].iter();
        let ours: BTreeSet<usize> =
            ours.filter(|index| **index != NONE).map(|index| *index as usize).collect();
        assert_eq!(ours, theirs, "{what}, point {query}");
    }
}

#[test]
fn pyramids_are_the_authors() {
    for name in EXPERIMENTS {
        let (answer, fixture) = answered(name);
        let orders: Vec<_> = (0..answer.stages.len()).map(|stage| order(&answer, &fixture, stage)).collect();
        for (at, stage) in answer.stages.iter().enumerate() {
            let (what, own) = (format!("{name} {at}"), &orders[at]);
            assert_near(&stage.neighbors, &fixture[&format!("neighbors.{at}")], own, own, &what);
            let Some(before) = at.checked_sub(1) else { continue };
            let finer = stage.finer.as_ref().unwrap();
            assert_near(finer, &fixture[&format!("subsampling.{before}")], own, &orders[before], &what);
            let parents = table(&fixture[&format!("upsampling.{before}")], own);
            for (query, theirs) in orders[before].iter().zip(parents) {
                assert_eq!(theirs, BTreeSet::from([stage.parent[*query] as usize]), "{what}");
            }
        }
    }
}

#[test]
fn features_of_points_and_superpoints_are_the_authors() {
    for name in EXPERIMENTS {
        let (answer, fixture) = answered(name);
        let last = answer.stages.len() - 1;
        let [fine, coarse] = [answer.fine, last].map(|stage| order(&answer, &fixture, stage));
        let off = error(&in_order(&answer.coarse_features, &coarse), &fixture["feats_c"]);
        assert!(off < MOST, "{name}, backbone's coarse features: {off}");
        let off = error(&in_order(&answer.fine_features, &fine), &fixture["feats_f"]);
        assert!(off < MOST, "{name}, backbone's fine features: {off}");
        let split = answer.stages[last].split;
        for (cloud, side) in ["ref", "src"].into_iter().enumerate() {
            let first = cloud * split;
            let own = coarse.iter().filter(|at| (**at < split) == (cloud == 0)).map(|at| (at - first) as u32);
            let own: Vec<u32> = own.collect();
            let count = own.len();
            let own = Tensor::from_vec(own, count, &Device::Cpu).unwrap();
            let found = answer.superpoint_features[cloud].index_select(&own, 0).unwrap();
            let off = error(&found, &fixture[&format!("{side}_feats_c")]);
            assert!(off < MOST, "{name}, {side} superpoints: {off}");
        }
    }
}

#[test]
fn embeddings_of_superpoints_are_the_authors() {
    for name in EXPERIMENTS {
        let (model, fixture) = (loaded(name), fixture(&format!("geotransformer/{name}")));
        let local = snapshot(&format!("geotransformer/{name}"), &[]);
        let weights = match local.find("geotransformer-modelnet.pth.tar") {
            Some(path) => Weights::open_pickle(path, Some(STATE), &Device::Cpu).unwrap(),
            None => Weights::open_safetensors(&local, &Device::Cpu).unwrap(),
        };
        let shape = model.network.config.transformer.embedding;
        let embedding = GeometricEmbedding::load(&weights.at("transformer.embedding"), shape).unwrap();
        let last = model.network.config.backbone.num_stages - 1;
        let count = numbers(&fixture[&format!("lengths.{last}")])[0] as usize;
        let superpoints = points(&fixture[&format!("points.{last}")]);
        let found = embedding.of(&superpoints[..count]).unwrap().embeddings();
        let rows = Tensor::from_vec(vec![3_u32, 9], 2, &Device::Cpu).unwrap();
        let off = error(&found.index_select(&rows, 0).unwrap(), &fixture["embedding"]);
        assert!(off < MOST, "{name}: {off}");
    }
}

#[test]
fn matches_of_superpoints_and_plans_are_the_authors() {
    for name in EXPERIMENTS {
        let (answer, fixture) = answered(name);
        let last = answer.stages.len() - 1;
        let (coarse, split) = (order(&answer, &fixture, last), answer.stages[last].split);
        let side = |name: &str| numbers(&fixture[name]).into_iter().map(|at| at as usize).collect::<Vec<_>>();
        let (targets, sources) = (side("ref_node_corr_indices"), side("src_node_corr_indices"));
        let scores = numbers(&fixture["node_corr_scores"]);
        assert_eq!(answer.pairs.len(), scores.len(), "{name}");
        let (pairs, height, width) = fixture["matching_scores"].dims3().unwrap();
        assert_eq!(pairs, scores.len());
        let plans = numbers(&fixture["matching_scores"]);
        let mut worst = 0.0_f32;
        for (at, score) in scores.iter().enumerate() {
            let (target, source) = (coarse[targets[at]], coarse[split + sources[at]] - split);
            let ours = answer
                .pairs
                .iter()
                .position(|pair| [pair.target, pair.source] == [target as u32, source as u32]);
            let ours = ours.unwrap_or_else(|| panic!("{name}: the pair {target}, {source} is not there"));
            let off = (answer.pairs[ours].score - score).abs() / score;
            assert!(off < 1e-4, "{name}: scores {} and {score}", answer.pairs[ours].score);
            // Their patches have a fixed size; what is not there is masked, in front of the dustbin. Two points that are as
            // near to a superpoint come in any order.
            let places = |cloud: usize, patch: usize, side: &str, size: usize| {
                let own = &answer.patches[cloud][patch];
                let masks = numbers(&fixture[&format!("{side}_masks")]);
                let count = masks[at * size..][..size].iter().filter(|mask| **mask > 0.0).count();
                assert_eq!(own.len(), count, "{name}");
                let theirs = points(&fixture[&format!("{side}_knn_points")]);
                let theirs = &theirs[at * size..][..count];
                let find = |index: &u32| {
                    let point = answer.stages[answer.fine].clouds()[cloud][*index as usize];
                    theirs.iter().position(|other| same(point, *other)).unwrap()
                };
                let mut places: Vec<usize> = own.iter().map(find).collect();
                assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), count);
                places.push(size);
                places
            };
            let rows = places(0, target, "ref", height - 1);
            let columns = places(1, source, "src", width - 1);
            for (row, r) in rows.iter().enumerate() {
                for (column, c) in columns.iter().enumerate() {
                    let wanted = plans[(at * height + r) * width + c];
                    let off = (answer.plans[ours][row * columns.len() + column] - wanted).abs();
                    worst = worst.max(off / wanted.abs().max(1.0));
                }
            }
        }
        assert!(worst < 2e-4, "{name}: {worst}");
    }
}

#[test]
fn correspondences_and_transforms_are_the_authors() {
    for name in EXPERIMENTS {
        let (answer, fixture) = answered(name);
        let [target, source] = answer.stages[answer.fine].clouds();
        let scores = numbers(&fixture["corr_scores"]);
        let theirs = points(&fixture["ref_corr_points"]).into_iter().zip(points(&fixture["src_corr_points"]));
        assert_eq!(answer.correspondences.len(), scores.len(), "{name}");
        let mut taken = vec![false; scores.len()];
        for ((first, second), score) in theirs.zip(&scores) {
            let same =
                |left: [f32; 3], right: [f32; 3]| (0..3).all(|axis| (left[axis] - right[axis]).abs() < 2e-6);
            let found = answer.correspondences.iter().enumerate().position(|(at, one)| {
                !taken[at]
                    && same(target[one.target as usize], first)
                    && same(source[one.source as usize], second)
                    && (one.score - score).abs() < 2e-4
            });
            taken[found.unwrap_or_else(|| panic!("{name}: {first:?}, {second:?}, {score} is not there"))] =
                true;
        }
        let matrix = Transform::from(&answer.found.unwrap().motion).matrix();
        let ours: Vec<f32> = matrix.iter().flatten().map(|value| *value as f32).collect();
        let ours = Tensor::from_vec(ours, (4, 4), &Device::Cpu).unwrap();
        let off = error(&ours, &fixture["estimated_transform"]);
        assert!(off < 2e-4, "{name}: {off}");
    }
}

fn cloud(points: impl IntoIterator<Item = [f64; 3]>) -> PointCloud {
    PointCloud::new(points.into_iter().collect())
}

fn input(source: &PointCloud, target: &PointCloud, options: RegisterOptions) -> RegisterInput {
    RegisterInput {
        source: Arc::new(source.clone()),
        target: Arc::new(target.clone()),
        options: Arc::new(options),
    }
}

/// A bumpy floor of `side` points a side with `spacing` between them.
fn floor(side: u32, spacing: f64) -> PointCloud {
    let point = |at: u32| {
        let (x, y) = (f64::from(at % side) * spacing, f64::from(at / side) * spacing);
        [x, y, 0.2 * (2.0 * x).sin() * (3.0 * y).cos() + 0.02 * (9.0 * x * y).sin()]
    };
    cloud((0..side * side).map(point))
}

#[test]
fn clouds_of_any_size_give_a_result_or_say_what_is_wrong() {
    let model = loaded("3dmatch");
    let usual = floor(50, 0.05);
    let run = |cloud: &PointCloud| {
        model.predict(&[input(cloud, &usual, RegisterOptions::default())]).map(|mut all| all.remove(0).output)
    };
    // Few superpoints: fewer than pairs that are wanted, and patches of a point.
    let small = run(&cloud(usual.points.iter().copied().filter(|[x, y, _]| *x < 1.2 && *y < 1.3))).unwrap();
    assert!(small.search.unwrap().source_points > 0);
    // Superpoints without neighbours, far from each other.
    let sparse = run(&floor(6, 3.0)).unwrap();
    assert!(!sparse.trusted());
    // All within one cube; millimetres for metres; kilometres for metres.
    for (wrong, said) in [
        (cloud(usual.points.iter().map(|point| point.map(|value| value / 1e3))), "superpoint"),
        (floor(80, 50.0), "superpoints"),
    ] {
        let error = run(&wrong).unwrap_err();
        assert!(error.chain().contains(said), "{}", error.chain());
        assert!(error.hint().unwrap().contains("unit"), "{error}");
    }
    let crowd = cloud((0..1_100_000_u32).map(|at| {
        let at = f64::from(at);
        [at.rem_euclid(1100.0), (at / 1100.0).floor(), (at * 0.37).sin()]
    }));
    let error = run(&crowd).unwrap_err();
    assert!(error.chain().contains("250000") && error.hint().unwrap().contains("unit"), "{error}");
}

#[test]
fn the_order_of_points_and_the_number_of_threads_change_no_bit() {
    let model = loaded("kitti");
    let (target, mut source) = (floor(40, 0.06), floor(36, 0.065));
    let answer = |source: &PointCloud| {
        let options = RegisterOptions { fine: Fine::None, ..RegisterOptions::default() };
        model.predict(&[input(source, &target, options)]).unwrap().remove(0).output
    };
    let one = answer(&source);
    source.points.reverse();
    assert_eq!(answer(&source).transform, one.transform);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| answer(&source)).transform, one.transform);
}

#[test]
fn lengths_in_another_unit_are_told_by_the_configuration() {
    let folder = std::env::temp_dir().join(format!("percept-geotransformer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let golden = percept_golden::folder("geotransformer/3dmatch");
    std::fs::copy(golden.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    let text = std::fs::read_to_string(golden.join("config.json")).unwrap();
    let configured = |text: &str| {
        std::fs::write(folder.join("config.json"), text).unwrap();
        let local = LocalModel::of_folder("m", &folder).unwrap();
        GeoTransformer::load(&local, &runtime(Precision::Auto))
    };
    let (metres, millimetres) =
        (floor(40, 0.05), cloud(floor(40, 0.05).points.iter().map(|p| p.map(|v| v * 1e3))));
    let found = |model: &GeoTransformer, cloud: &PointCloud| {
        let options = RegisterOptions { fine: Fine::None, ..RegisterOptions::default() };
        model.predict(&[input(cloud, cloud, options)]).unwrap().remove(0).output
    };
    let one = found(&configured(&text).unwrap(), &metres);
    let unit = text.replacen('{', "{\"unit\": 0.001,", 1);
    let other = found(&configured(&unit).unwrap(), &millimetres);
    for axis in 0..3 {
        let off = (other.transform.translation[axis] / 1e3 - one.transform.translation[axis]).abs();
        assert!(off < 1e-3, "{:?} {:?}", one.transform, other.transform);
    }
    assert!((other.search.unwrap().voxel / one.search.unwrap().voxel - 1e3).abs() < 1e-6);

    for (key, value, said) in [
        ("experiment", "\"waymo\"", "experiment"),
        ("neighbor_limits", "[1, 2]", "neighbor_limits"),
        ("unit", "-1", "unit"),
        ("fine_matching", "{\"use_dustbin\": true}", "use_dustbin"),
        ("geotransformer", "{\"blocks\": [\"self\", \"other\"]}", "other"),
        ("geotransformer", "{\"reduction_a\": \"min\"}", "reduction_a"),
        ("coarse_matching", "{\"num_correspondences\": 0}", "num_correspondences"),
        ("backbone", "{\"init_dim\": 8, \"group_norm\": 2}", "encoder1_2"),
        ("backbone", "{\"group_norm\": 3, \"init_dim\": 4, \"output_dim\": 12}", "group_norm"),
    ] {
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config[key] = serde_json::from_str(value).unwrap();
        let error = configured(&config.to_string()).err().unwrap();
        assert!(error.chain().contains(said), "{key} {value}: {}", error.chain());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn raw_tensors_are_what_the_network_saw_and_made() {
    let model = loaded("modelnet");
    let tensors = model.raw(&input(&floor(30, 0.08), &floor(28, 0.08), RegisterOptions::default())).unwrap();
    let shape = |name: &str| tensors.iter().find(|tensor| tensor.name == name).unwrap().shape.clone();
    assert_eq!((shape("src_points"), shape("ref_points")), (vec![900, 3], vec![784, 3]));
    assert_eq!(shape("matching_scores")[1..], [33, 33]);
    assert_eq!(shape("src_corr_points")[0], shape("corr_scores")[0]);
    assert_eq!(shape("ref_node_corr_indices"), shape("node_corr_scores"));
    assert_eq!(shape("estimated_transform"), [4, 4]);
}
