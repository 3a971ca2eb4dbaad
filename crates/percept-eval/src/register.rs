//! Transforms of pairs of clouds against true ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use percept_core::cloud::PointCloud;
use percept_core::{Error, Result};
use percept_media::cloud::{self, CloudLimits, CloudSource, Posed, read_transforms};
use serde::Serialize;

use crate::Metric;
use crate::files::{self, Alike};
use crate::metric::{as_object, mean};

/// Endings of files of transforms.
const EXTENSIONS: [&str; 5] = ["txt", "json", "log", "tum", "kitti"];

/// What counts as registered.
#[derive(Clone, Debug)]
pub struct RegisterOptions {
    /// The largest error of the rotation, in degrees.
    pub degrees: f64,
    /// The largest error of the translation, in the unit of the files.
    pub distance: f64,
    /// The largest RMSE of the source's points, instead of the two above (3DMatch's recall has 0.2 m): the one that map
    /// coordinates have use for, whose zero is far from the points. Needs sources.
    pub rmse: Option<f64>,
    /// The sources, for the RMSE: a cloud, or a folder of clouds with the stems of the pairs.
    pub sources: Option<PathBuf>,
}

impl Default for RegisterOptions {
    /// 5 degrees and 2 m, as on KITTI; 3DMatch has 15 degrees and 0.3 m.
    fn default() -> Self {
        Self { degrees: 5.0, distance: 2.0, rmse: None, sources: None }
    }
}

/// What transforms are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pairs of the truth.
    pub pairs: usize,
    /// Of these, pairs with a result.
    pub results: usize,
    /// `recall`, the share of pairs that are registered: a pair without a result is not. `RRE` (degrees) and `RTE`: relative
    /// rotation and translation error, mean, median, greatest, and mean over what is registered. `RMSE` of the source's points.
    /// `false-trust`: the share of trusted results that are not registered.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
    /// In the truth's order.
    pub each: Vec<PairReport>,
}

/// One pair of a [`Report`].
#[derive(Clone, Debug, Serialize)]
pub struct PairReport {
    /// Its file's stem, its name in the file, or its number in it.
    pub name: String,
    /// Whether the errors are small enough.
    pub registered: bool,
    /// Angle between the two rotations, in degrees; absent without a result.
    #[serde(rename = "RRE")]
    pub degrees: Option<f64>,
    /// Distance of the two translations.
    #[serde(rename = "RTE")]
    pub distance: Option<f64>,
    /// Root of the mean squared distance between where the two take the source's points.
    #[serde(rename = "RMSE", skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Ratio of the scales less 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Whether the result says that it is to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
}

/// Scores the transforms of two files, or of two folders of files with the same stems. Pairs of one file belong together by
/// their names where both files have names, else by their order.
///
/// # Errors
/// [`Error::Input`]: a file cannot be read or has no transform; [`Error::Argument`]: the two do not fit.
pub fn score(truth: &Path, results: &Path, options: &RegisterOptions) -> Result<Report> {
    let mut each = Vec::new();
    if options.rmse.is_some() && options.sources.is_none() {
        return Err(Error::argument("an RMSE is of points: name the sources"));
    }
    let sources = options.sources.as_deref().map(Sources::new).transpose()?;
    let one_file = !truth.is_dir();
    for (said, heard) in pairs(truth, results)? {
        let Some(heard) = heard else {
            each.push(missing(stem(&said)));
            continue;
        };
        let (truths, mut found) = (read_transforms(&said)?, Found::new(&heard, read_transforms(&heard)?));
        let several = truths.len() > 1;
        if one_file || several {
            found.check(&said, &truths)?;
        }
        for (at, truth) in truths.iter().enumerate() {
            let name = match (&truth.name, several) {
                (Some(name), _) => name.clone(),
                (None, true) => (at + 1).to_string(),
                (None, false) => stem(&said),
            };
            let Some(result) = found.take(truth) else {
                each.push(missing(name));
                continue;
            };
            let source = sources.as_ref().map(|sources| sources.of(&name)).transpose()?;
            each.push(compared(name, truth, &result, source.as_deref(), options));
        }
    }
    if each.is_empty() {
        return Err(Error::input(truth, "it has no transform"));
    }
    Ok(report(each))
}

/// Files of the truth with those of the results: of a folder, a result may be missing.
fn pairs(truth: &Path, results: &Path) -> Result<Vec<(PathBuf, Option<PathBuf>)>> {
    if !(truth.is_dir() && results.is_dir()) {
        let pairs = files::pairs(truth, results, &EXTENSIONS, Alike::Stem)?;
        return Ok(pairs.into_iter().map(|pair| (pair.truth, Some(pair.result))).collect());
    }
    let truths = files::by_name(truth, &EXTENSIONS, Alike::Stem)?;
    let mut results = files::by_name(results, &EXTENSIONS, Alike::Stem)?;
    // `percept register a.ply b.ply --report a.json`, or `a.register.json`.
    let mut result =
        |name: &str| results.remove(name).or_else(|| results.remove(&format!("{name}.register")));
    let pairs: Vec<_> = truths.into_iter().map(|(name, path)| (path, result(&name))).collect();
    match results.into_keys().next() {
        Some(extra) => Err(Error::Argument {
            message: format!("`{}` has no truth of `{extra}`", truth.display()),
            hint: Some("a result has its truth's name".into()),
        }),
        None => Ok(pairs),
    }
}

/// Results of one file.
struct Found<'a> {
    path: &'a Path,
    named: BTreeMap<String, Posed>,
    rest: VecDeque<Posed>,
    count: usize,
}

impl<'a> Found<'a> {
    fn new(path: &'a Path, all: Vec<Posed>) -> Self {
        let count = all.len();
        if all.iter().all(|posed| posed.name.is_some()) {
            let named = all.into_iter().filter_map(|posed| Some((posed.name.clone()?, posed)));
            return Self { path, named: named.collect(), rest: VecDeque::new(), count };
        }
        Self { path, named: BTreeMap::new(), rest: all.into(), count }
    }

    /// Whether they can belong to the truths of a file.
    fn check(&mut self, truth: &Path, truths: &[Posed]) -> Result<()> {
        let named = truths.iter().all(|truth| truth.name.is_some()) && !self.named.is_empty();
        if !named {
            if truths.len() != self.count {
                let (wanted, path) = (truths.len(), truth.display());
                let cause = format!("it has {} transforms, and `{path}` has {wanted}", self.count);
                return Err(Error::input(self.path, cause));
            }
            self.rest.extend(std::mem::take(&mut self.named).into_values());
            return Ok(());
        }
        match self.named.keys().find(|name| truths.iter().all(|truth| truth.name.as_ref() != Some(*name))) {
            Some(extra) => Err(Error::input(self.path, format!("the truth has no pair `{extra}`"))),
            None => Ok(()),
        }
    }

    fn take(&mut self, truth: &Posed) -> Option<Posed> {
        let named = truth.name.as_ref().and_then(|name| self.named.remove(name));
        named.or_else(|| self.rest.pop_front())
    }
}

fn missing(name: String) -> PairReport {
    PairReport {
        name,
        registered: false,
        degrees: None,
        distance: None,
        rmse: None,
        scale: None,
        trusted: None,
    }
}

fn compared(
    name: String,
    truth: &Posed,
    result: &Posed,
    source: Option<&PointCloud>,
    options: &RegisterOptions,
) -> PairReport {
    let (said, heard) = (&truth.transform, &result.transform);
    let degrees = heard.after(&said.inverse()).angle_degrees();
    let apart = |a: [f64; 3], b: [f64; 3]| (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>();
    let distance = apart(said.translation, heard.translation).sqrt();
    let rmse = source.map(|cloud| {
        // Both from the cloud's origin: differences of map coordinates keep their digits.
        let [said, heard] = [said, heard].map(|transform| transform.about_origins(cloud.origin, [0.0; 3]));
        let squares = cloud.points.iter().map(|point| apart(said.apply(*point), heard.apply(*point)));
        (squares.sum::<f64>() / cloud.len().max(1) as f64).sqrt()
    });
    let registered = match (options.rmse, rmse) {
        (Some(limit), Some(rmse)) => rmse <= limit,
        _ => degrees <= options.degrees && distance <= options.distance,
    };
    let scaled = said.scale != 1.0 || heard.scale != 1.0;
    PairReport {
        name,
        registered,
        degrees: Some(degrees),
        distance: Some(distance),
        rmse,
        scale: scaled.then(|| heard.scale / said.scale - 1.0),
        trusted: result.trusted,
    }
}

fn report(each: Vec<PairReport>) -> Report {
    let share = |right: usize, all: usize| (all > 0).then(|| right as f64 / all as f64);
    let registered = each.iter().filter(|pair| pair.registered).count();
    let trusted = || each.iter().filter(|pair| pair.trusted == Some(true));
    let told = each.iter().any(|pair| pair.trusted.is_some());
    let mut metrics = vec![Metric::new("recall", share(registered, each.len()))];
    let mut add = |name: &str, error: fn(&PairReport) -> Option<f64>| {
        let mut all: Vec<f64> = each.iter().filter_map(error).collect();
        all.sort_by(f64::total_cmp);
        let middle = [all.len().saturating_sub(1) / 2, all.len() / 2];
        let median = mean(middle.iter().filter_map(|at| all.get(*at)).copied());
        metrics.push(Metric::new(name, mean(all.iter().copied())));
        metrics.push(Metric::new(format!("{name}-median"), median));
        metrics.push(Metric::new(format!("{name}-max"), all.last().copied()));
        let of_registered = each.iter().filter(|pair| pair.registered).filter_map(error);
        metrics.push(Metric::new(format!("{name}-registered"), mean(of_registered)));
    };
    add("RRE", |pair| pair.degrees);
    add("RTE", |pair| pair.distance);
    add("RMSE", |pair| pair.rmse);
    let wrong = trusted().filter(|pair| !pair.registered).count();
    metrics.push(Metric::new("false-trust", if told { share(wrong, trusted().count()) } else { None }));
    let results = each.iter().filter(|pair| pair.degrees.is_some()).count();
    Report { pairs: each.len(), results, metrics, each }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_cloud(path: &Path) -> Result<PointCloud> {
    Ok(cloud::read(CloudSource::from_argument(path), CloudLimits::default())?.0)
}

/// Where sources come from.
enum Sources<'a> {
    /// One for all pairs.
    One(PointCloud),
    /// One a pair, by the stems of their files.
    Folder(&'a Path, BTreeMap<String, PathBuf>),
}

impl<'a> Sources<'a> {
    fn new(path: &'a Path) -> Result<Self> {
        if !path.is_dir() {
            return Ok(Self::One(read_cloud(path)?));
        }
        let entries = std::fs::read_dir(path).map_err(|error| Error::input(path, error))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        // Of several with one stem the first is taken.
        paths.sort_by(|one, other| other.cmp(one));
        Ok(Self::Folder(path, paths.into_iter().map(|path| (stem(&path), path)).collect()))
    }

    /// That of a pair.
    fn of(&self, name: &str) -> Result<Cow<'_, PointCloud>> {
        let (folder, paths) = match self {
            Self::One(cloud) => return Ok(Cow::Borrowed(cloud)),
            Self::Folder(folder, paths) => (folder, paths),
        };
        let path = paths.get(name).ok_or_else(|| Error::Argument {
            message: format!("`{}` has no cloud `{name}`", folder.display()),
            hint: Some("a source has the name of its pair's truth".into()),
        })?;
        Ok(Cow::Owned(read_cloud(path)?))
    }
}

#[cfg(test)]
mod golden;
