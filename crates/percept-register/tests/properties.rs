//! What must hold for any pair of clouds, on drawn shapes.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::sync::Arc;

use percept_core::register::{
    Doubt, Fine, Kernel, Locked, Matching, Motion, PointCloud, RegisterInput, RegisterOptions, Registration,
    Size, Start, Transform,
};
use percept_core::{LocalModel, Result, Runtime};
use proptest::prelude::*;

fn register(source: &PointCloud, target: &PointCloud, options: RegisterOptions) -> Result<Registration> {
    let files = LocalModel::of_folder("classic", Path::new(".")).unwrap();
    let model = (percept_register::ARCHS[0].load)(&files, &Runtime::default()).unwrap();
    let input = RegisterInput {
        source: Arc::new(source.clone()),
        target: Arc::new(target.clone()),
        options: Arc::new(options),
    };
    Ok(model.predict(&[input])?.pop().unwrap().output)
}

fn anywhere() -> RegisterOptions {
    RegisterOptions::default()
}

fn learned() -> RegisterOptions {
    RegisterOptions { start: Start::Learned, ..RegisterOptions::default() }
}

fn from_identity() -> RegisterOptions {
    RegisterOptions { start: Start::Guess(Transform::IDENTITY), ..RegisterOptions::default() }
}

/// Numbers that look random and are the same in every run, -1 to 1.
fn noise(at: usize) -> f64 {
    let mut mixed = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A bumpy sheet of 4 by 3, about whose shape nothing is symmetric.
fn sheet(count: usize, seed: usize) -> Vec<[f64; 3]> {
    let point = |at: usize| {
        let (x, y) = (2.0 * noise(2 * at + seed), 1.5 * noise(2 * at + 1 + seed));
        [x, y, 0.5 * (1.7 * x + 0.3).sin() * (1.3 * y).cos() + 0.2 * (2.9 * y + x * x).sin() + 0.15 * x * y]
    };
    (0..count).map(point).collect()
}

fn turn(axis: [f64; 3], degrees: f64, translation: [f64; 3]) -> Transform {
    let length = axis.iter().map(|value| value * value).sum::<f64>().sqrt();
    let [x, y, z] = axis.map(|value| value / length);
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let rest = 1.0 - cosine;
    let rotation = [
        [cosine + x * x * rest, x * y * rest - z * sine, x * z * rest + y * sine],
        [y * x * rest + z * sine, cosine + y * y * rest, y * z * rest - x * sine],
        [z * x * rest - y * sine, z * y * rest + x * sine, cosine + z * z * rest],
    ];
    Transform { rotation, translation, scale: 1.0 }
}

fn moved(points: &[[f64; 3]], transform: &Transform) -> Vec<[f64; 3]> {
    points.iter().map(|point| transform.apply(*point)).collect()
}

fn apart(found: &Transform, want: &Transform) -> (f64, f64) {
    let rest = want.inverse().after(found);
    (rest.angle_degrees(), rest.translation.iter().map(|value| value * value).sum::<f64>().sqrt())
}

fn assert_is(found: &Transform, want: &Transform, bound: f64) {
    let (degrees, distance) = apart(found, want);
    assert!(
        degrees.to_radians() < bound && distance < bound,
        "{degrees} degrees, {distance}: {found:?} {want:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_moved_copy_gives_the_motion_back_and_the_other_way_its_inverse(
        axis in [-1.0..1.0, -1.0..1.0, 0.1..1.0_f64],
        degrees in 0.0..180.0_f64,
        shift in [-20.0..20.0, -20.0..20.0, -20.0..20.0_f64],
        seed in 0_usize..1000,
    ) {
        let points = sheet(1500, seed * 10_000);
        let truth = turn(axis, degrees, shift);
        let (source, target) = (PointCloud::new(points.clone()), PointCloud::new(moved(&points, &truth)));
        let there = register(&source, &target, anywhere()).unwrap();
        assert_is(&there.in_files(), &truth, 1e-6);
        prop_assert!(there.trusted(), "{:?}", there.doubts);
        let back = register(&target, &source, anywhere()).unwrap();
        assert_is(&back.in_files(), &truth.inverse(), 1e-6);
    }

    #[test]
    fn the_order_of_the_points_changes_no_bit(seed in 0_usize..1000, voxel in 0_usize..2) {
        let (points, other) = (sheet(2000, seed * 7), sheet(1800, 1_000_000 + seed));
        let mut shuffled = points.clone();
        shuffled.sort_by(|left, right| left[seed % 3].total_cmp(&right[seed % 3]));
        let options = || RegisterOptions { voxels: vec![0.1 * voxel as f64], ..from_identity() };
        let one = register(&PointCloud::new(points), &PointCloud::new(other.clone()), options()).unwrap();
        let again = register(&PointCloud::new(shuffled), &PointCloud::new(other), options()).unwrap();
        prop_assert_eq!(one, again);
    }
}

#[test]
fn the_network_alone_finds_the_motion_and_no_order_of_points_changes_a_bit() {
    let truth = turn([0.3, -0.5, 1.0], 130.0, [5.0, -3.0, 2.0]);
    let (points, target) = (sheet(7000, 0), moved(&sheet(6500, 700_000), &truth));
    let mut shuffled = points.clone();
    shuffled.sort_by(|left, right| left[1].total_cmp(&right[1]));
    let target = PointCloud::new(target);
    let one = register(&PointCloud::new(points), &target, learned()).unwrap();
    assert_is(&one.in_files(), &truth, 0.02);
    assert!(one.trusted(), "{:?}", one.doubts);
    assert_eq!(one.search.unwrap().matching, Matching::Learned);
    assert_eq!(one, register(&PointCloud::new(shuffled), &target, learned()).unwrap());
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let (source, target) = (PointCloud::new(sheet(9000, 0)), PointCloud::new(sheet(8000, 500_000)));
    let with = |threads: usize, options: RegisterOptions| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| register(&source, &target, options).unwrap())
    };
    let trimmed = RegisterOptions { trim: Some(0.7), ..from_identity() };
    for options in [anywhere(), learned(), from_identity(), trimmed] {
        let one = with(1, options.clone());
        for threads in [2, 3, 8] {
            assert_eq!(one, with(threads, options.clone()), "{threads} threads");
        }
    }
}

#[test]
fn map_coordinates_change_nothing_of_the_local_transform() {
    let truth = turn([0.2, -0.1, 1.0], 3.0, [0.1, 0.05, -0.02]);
    let scaled = |points: Vec<[f64; 3]>| {
        points.iter().map(|point| point.map(|value| 10.0 * value)).collect::<Vec<_>>()
    };
    let target = scaled(sheet(9000, 0));
    let source = moved(&scaled(sheet(9000, 300_000)), &truth.inverse());
    let far = |points: &[[f64; 3]]| {
        PointCloud::new(points.iter().map(|[x, y, z]| [x + 6e5, y + 5e6, *z]).collect())
    };
    for options in [from_identity(), anywhere()] {
        let near =
            register(&PointCloud::new(source.clone()), &PointCloud::new(target.clone()), options.clone())
                .unwrap();
        let there = register(&far(&source), &far(&target), options).unwrap();
        assert_eq!(there.target_origin, [6e5, 5e6, 0.0]);
        let (near, local) = (near.transform.matrix(), there.transform.matrix());
        for (near, local) in near.iter().flatten().zip(local.iter().flatten()) {
            assert!((near - local).abs() < 1e-9, "{near} {local}");
        }
        // And in the files' coordinates it takes the far source onto the far target.
        let point = [source[0][0] + 6e5, source[0][1] + 5e6, source[0][2]];
        let (went, should) = (there.in_files().apply(point), moved(&source[..1], &truth)[0]);
        let off = [went[0] - 6e5 - should[0], went[1] - 5e6 - should[1], went[2] - should[2]];
        assert!(off.iter().all(|value| value.abs() < 0.05), "{off:?}");
    }
}

#[test]
fn a_scale_is_found_where_it_is_asked_for() {
    let points = sheet(3000, 0);
    let truth = Transform { scale: 1.04, ..turn([0.0, 0.3, 1.0], 2.0, [0.02, -0.03, 0.01]) };
    let options = RegisterOptions { size: Size::Estimated, ..from_identity() };
    let found = register(&PointCloud::new(points.clone()), &PointCloud::new(moved(&points, &truth)), options)
        .unwrap();
    assert!((found.transform.scale - 1.04).abs() < 1e-6, "{:?}", found.transform);
    let options = RegisterOptions { size: Size::Estimated, ..anywhere() };
    let truth = Transform { scale: 2.5, ..turn([1.0, 0.3, 1.0], 110.0, [2.0, -3.0, 1.0]) };
    let found = register(&PointCloud::new(points.clone()), &PointCloud::new(moved(&points, &truth)), options)
        .unwrap();
    assert!((found.transform.scale - 2.5).abs() < 1e-6, "{:?}", found.transform);
}

#[test]
fn what_is_locked_stays() {
    let points = sheet(3000, 0);
    let target = moved(&points, &turn([0.1, 0.2, 1.0], 3.0, [0.05, 0.04, 0.03]));
    let locked = Locked { rotation: [true, true, false], translation: [false, false, true] };
    let found = register(
        &PointCloud::new(points),
        &PointCloud::new(target),
        RegisterOptions { locked, ..from_identity() },
    )
    .unwrap();
    let [.., bottom] = found.transform.rotation;
    assert!(bottom[2] == 1.0 && bottom[0] == 0.0 && bottom[1] == 0.0, "{:?}", found.transform);
    assert!((found.transform.angle_degrees() - 3.0).abs() < 0.3, "{:?}", found.transform);
    assert_eq!(found.transform.translation[2], 0.0);
}

/// Half of the source has no counterpart, and lies a little beside the target.
#[test]
fn kernels_and_trimming_take_what_is_wrong_out() {
    let good = sheet(3000, 0);
    let truth = turn([0.1, 0.2, 1.0], 2.0, [0.05, -0.03, 0.02]);
    let target = moved(&good, &truth);
    let lifted = sheet(900, 77_777).into_iter().map(|[x, y, z]| [x, y, z + 0.15]);
    let source: Vec<[f64; 3]> = good.into_iter().chain(lifted).collect();
    let run = |kernel: Kernel, trim: Option<f64>| {
        let options =
            RegisterOptions { fine: Fine::Point, kernel, trim, max_distance: Some(0.4), ..from_identity() };
        let found =
            register(&PointCloud::new(source.clone()), &PointCloud::new(target.clone()), options).unwrap();
        apart(&found.in_files(), &truth).1
    };
    let plain = run(Kernel::None, None);
    assert!(plain > 0.01, "{plain}");
    for (kernel, trim) in
        [(Kernel::GemanMcClure(0.05), None), (Kernel::Tukey(0.1), None), (Kernel::None, Some(0.7))]
    {
        let off = run(kernel, trim);
        assert!(off < plain / 20.0, "{kernel:?} {trim:?}: {off}, without it {plain}");
    }
    let huber = run(Kernel::Huber(0.02), None);
    assert!(huber < plain / 2.0, "{huber}, without it {plain}");
}

/// A corridor 40 long, 3 wide and 2.5 high: floor, ceiling and two walls.
fn corridor(count: usize, seed: usize) -> Vec<[f64; 3]> {
    (0..count)
        .map(|at| {
            let [u, v, w] = [0, 1, 2].map(|part| noise(3 * at + part + seed));
            let off = 0.005 * noise(7 * at + seed + 13);
            match (at % 4, w) {
                (0, _) => [20.0 * u, 1.5 * v, off],
                (1, _) => [20.0 * u, 1.5 * v, 2.5 + off],
                (2, _) => [20.0 * u, -1.5 + off, 1.25 + 1.25 * v],
                _ => [20.0 * u, 1.5 + off, 1.25 + 1.25 * v],
            }
        })
        .collect()
}

#[test]
fn a_corridor_is_free_along_its_axis_and_a_plane_in_itself() {
    let found = register(
        &PointCloud::new(corridor(5000, 0)),
        &PointCloud::new(corridor(5000, 90_000)),
        from_identity(),
    )
    .unwrap();
    assert_eq!(found.free.len(), 1, "{:?}", found.free);
    assert_eq!(found.free[0].motion, Motion::Translation);
    assert!(found.free[0].axis[0] > 0.99, "{:?}", found.free);
    assert!(found.covariance.is_none());
    let plane = |seed: usize| -> PointCloud {
        PointCloud::new(sheet(3000, seed).into_iter().map(|[x, y, _]| [x, y, 0.0]).collect())
    };
    let found = register(&plane(0), &plane(50_000), from_identity()).unwrap();
    let translations = found.free.iter().filter(|free| free.motion == Motion::Translation).count();
    assert_eq!((found.free.len(), translations), (3, 2), "{:?}", found.free);
    let found = register(&plane(0), &plane(50_000), anywhere()).unwrap();
    assert!(found.doubts.contains(&Doubt::Free) || !found.trusted(), "{:?}", found.doubts);
}

#[test]
fn a_shape_with_hold_has_a_covariance_of_the_size_of_its_errors() {
    let noisy = |seed: usize| {
        let point = |(at, [x, y, z]): (usize, [f64; 3])| [x, y, z + 0.01 * noise(at + seed)];
        PointCloud::new(sheet(4000, seed).into_iter().enumerate().map(point).collect())
    };
    let found = register(&noisy(0), &noisy(40_000), from_identity()).unwrap();
    assert!(found.free.is_empty(), "{:?}", found.free);
    let covariance = found.covariance.unwrap();
    for (at, row) in covariance.iter().enumerate() {
        let deviation = row[at].sqrt();
        assert!(deviation > 1e-5 && deviation < 5e-3, "{at}: {deviation}");
    }
}

#[test]
fn clouds_of_different_places_are_not_trusted() {
    // A sheet, and a ball: whatever is found, it is no answer.
    let ball: Vec<[f64; 3]> = (0..3000)
        .map(|at| {
            let (angle, z) = (std::f64::consts::PI * noise(2 * at), noise(2 * at + 1));
            let ring = (1.0 - z * z).sqrt();
            [ring * angle.cos() + 0.02 * noise(at), ring * angle.sin(), z]
        })
        .collect();
    let found = register(&PointCloud::new(sheet(3000, 5)), &PointCloud::new(ball), anywhere()).unwrap();
    assert!(!found.trusted(), "{found:?}");
}

#[test]
fn bad_clouds_are_errors_and_flat_ones_are_not() {
    let bad: [(&str, Vec<[f64; 3]>); 5] = [
        ("no points", vec![]),
        ("only 1 point", vec![[1.0, 2.0, 3.0]]),
        ("one place", vec![[1.0, 2.0, 3.0]; 50]),
        ("one line", (0..50).map(|at| [f64::from(at), 2.0 * f64::from(at), 5.0]).collect()),
        ("only 2 points", vec![[0.0; 3], [1.0; 3]]),
    ];
    let good = PointCloud::new(sheet(100, 0));
    for (what, points) in bad {
        let bad = PointCloud::new(points);
        for (source, target) in [(&bad, &good), (&good, &bad)] {
            let error = register(source, target, anywhere()).unwrap_err();
            assert!(error.chain().contains(what), "{what}: {}", error.chain());
        }
    }
    for options in [
        RegisterOptions { max_distance: Some(0.0), ..anywhere() },
        RegisterOptions { voxels: vec![0.1, 0.2], ..anywhere() },
        RegisterOptions { trim: Some(1.5), ..anywhere() },
    ] {
        assert!(register(&good, &good, options).is_err());
    }
    // Three points, and clouds far from each other: an answer with a doubt or not, and no panic.
    let three = PointCloud::new(vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    for options in [anywhere(), from_identity()] {
        let found = register(&three, &good, options).unwrap();
        assert!(found.transform.matrix().iter().flatten().all(|value| value.is_finite()), "{found:?}");
    }
    let far = PointCloud::new(sheet(100, 0).into_iter().map(|[x, y, z]| [x + 1e4, y, z]).collect());
    assert!(!register(&far, &good, from_identity()).unwrap().trusted());
}
