//! The options of `percept register`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept::register::{Fine, Kernel, Locked, MatrixFormat};

use super::shared::{Fetching, ProgressChoice};

/// Two point clouds: the rigid transform that takes SOURCE onto TARGET.
///
/// Without a guess it searches everywhere, then refines. JSON on standard output says how well the clouds meet and
/// whether the transform is to be trusted; the exit code is 1 when it is not.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept register scan_a.ply scan_b.pcd\n  \
                        percept register a.las b.las -o aligned.las --matrix T.txt --report r.json\n  \
                        percept register a.ply b.ply --method gicp --init T0.txt --max-distance 1.0\n  \
                        percept register a.ply b.ply -f png\n  \
                        percept register scans/*.ply --sequence -o map.ply")]
pub(crate) struct RegisterArguments {
    /// SOURCE and TARGET: ply, pcd, las, laz, xyz, csv, txt, obj, stl or npy. With --sequence, two scans or more.
    #[arg(value_name = "CLOUD", required = true, num_args = 2..)]
    pub(crate) clouds: Vec<PathBuf>,
    /// Take the clouds for scans one after the other, register each onto the one before it, and join them.
    #[arg(long)]
    pub(crate) sequence: bool,
    /// Write SOURCE where TARGET is, with all that it has (ply, pcd, las, laz, xyz, csv); with --sequence, the map.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write the transform, in the coordinates of the files; with --sequence, the pose of every scan.
    #[arg(long, value_name = "FILE")]
    pub(crate) matrix: Option<PathBuf>,
    /// How --matrix is written. [default: json for .json, else four lines of four numbers]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "matrix")]
    pub(crate) matrix_format: Option<MatrixChoice>,
    /// Write the JSON here too.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// json, and png: before and after from three sides, as STEM.register.png beside SOURCE.
    #[arg(short, long, value_delimiter = ',', value_enum, default_value = "json")]
    pub(crate) format: Vec<RegisterFormat>,
    /// Begin here instead of searching: a file with four lines of four numbers, or JSON, source to target.
    #[arg(long, value_name = "FILE")]
    pub(crate) init: Option<PathBuf>,
    /// auto: search by features, and by the learned matcher where these do not convince, then gicp; with --init, gicp.
    /// fpfh, learned, ransac: how to search. The others refine from --init, or from where the files are.
    #[arg(long, value_enum, default_value_t = MethodChoice::Auto)]
    pub(crate) method: MethodChoice,
    /// What a search is refined by. [default: gicp]
    #[arg(long, value_parser = fine, value_name = "gicp|vgicp|plane|point|color|none")]
    pub(crate) refine: Option<Fine>,
    /// Sizes of voxels, coarse to fine, separated by commas; 0 is every point. From the data when absent.
    #[arg(long, value_delimiter = ',', value_name = "SIZES")]
    pub(crate) voxel: Vec<f64>,
    /// Beyond what two points are no pair in the last step. From the data when absent.
    #[arg(long, value_name = "D")]
    pub(crate) max_distance: Option<f64>,
    /// Below what a point counts as met in what is reported. From the data when absent.
    #[arg(long, value_name = "D")]
    pub(crate) inlier_distance: Option<f64>,
    /// Take weight from pairs that are farther apart than D.
    #[arg(long, value_name = "huber|geman-mcclure|tukey:D", value_parser = kernel)]
    pub(crate) kernel: Option<Kernel>,
    /// Let only this share of the pairs count, the nearest: for clouds that overlap in part.
    #[arg(long, value_name = "SHARE")]
    pub(crate) trim: Option<f64>,
    /// Estimate a scale too.
    #[arg(long)]
    pub(crate) with_scale: bool,
    /// What stays as it begins: turns rx, ry, rz about, and shifts x, y, z along the axes of TARGET. Needs --init, or
    /// files that lie nearly right.
    #[arg(long, value_name = "rx,ry,rz,x,y,z", value_parser = locked)]
    pub(crate) lock: Option<Locked>,
    /// The most steps at each size of voxels. [default: 50]
    #[arg(long, value_name = "N")]
    pub(crate) max_iterations: Option<usize>,
    /// Neighbours that tell the surface at a point. [default: 10]
    #[arg(long, value_name = "N")]
    pub(crate) neighbors: Option<usize>,
    /// Refuse clouds that say they have more millions of points.
    #[arg(long, value_name = "MILLIONS", default_value_t = 100)]
    pub(crate) max_points: u32,
    /// Replace outputs that are there already.
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Leave times out of JSON, so that two runs can be compared byte by byte.
    #[arg(long)]
    pub(crate) no_timings: bool,
    /// Threads of the computation; all processors when absent. They change no byte of the result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// A model of `percept models list --task register`, or the folder of a GeoTransformer: its `.pth.tar` as published, or
    /// `config.json` and `model.safetensors`.
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// Also write the prepared points and what the model made of them, as safetensors.
    #[arg(long, value_name = "FILE")]
    pub(crate) raw: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) progress: ProgressChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegisterFormat {
    Json,
    Png,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodChoice {
    Auto,
    Fpfh,
    Learned,
    Ransac,
    Gicp,
    Vgicp,
    Plane,
    Point,
    Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixChoice {
    /// Four lines of four numbers.
    Rows,
    /// Twelve numbers in a line.
    Kitti,
    /// Number, place and quaternion in a line.
    Tum,
    Json,
}

impl From<MatrixChoice> for MatrixFormat {
    fn from(choice: MatrixChoice) -> Self {
        match choice {
            MatrixChoice::Rows => Self::Rows,
            MatrixChoice::Kitti => Self::Kitti,
            MatrixChoice::Tum => Self::Tum,
            MatrixChoice::Json => Self::Json,
        }
    }
}

fn fine(text: &str) -> Result<Fine, String> {
    let named = Fine::NAMES.iter().find(|(name, _)| *name == text);
    named.map(|(_, fine)| *fine).ok_or_else(|| {
        let names: Vec<&str> = Fine::NAMES.iter().map(|(name, _)| *name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

fn kernel(text: &str) -> Result<Kernel, String> {
    let form = || "it has the form `huber:0.1`, with a distance larger than 0".to_owned();
    let (name, length) = text.split_once(':').ok_or_else(form)?;
    let length = length.parse().ok().filter(|length: &f64| *length > 0.0 && length.is_finite());
    let length = length.ok_or_else(form)?;
    match name {
        "huber" => Ok(Kernel::Huber(length)),
        "geman-mcclure" => Ok(Kernel::GemanMcClure(length)),
        "tukey" => Ok(Kernel::Tukey(length)),
        _ => Err(format!("`{name}` is not a kernel; use huber, geman-mcclure or tukey")),
    }
}

fn locked(text: &str) -> Result<Locked, String> {
    let mut locked = Locked::default();
    for name in text.split(',').map(str::trim) {
        let (of, axis) = match name.strip_prefix('r') {
            Some(axis) => (&mut locked.rotation, axis),
            None => (&mut locked.translation, name),
        };
        let axis = ["x", "y", "z"].iter().position(|known| *known == axis);
        of[axis.ok_or_else(|| format!("`{name}` is none of rx, ry, rz, x, y, z"))?] = true;
    }
    Ok(locked)
}
