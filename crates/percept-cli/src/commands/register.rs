//! `percept register`: two clouds to a transform, or many scans to a map.

use std::ffi::OsStr;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use percept::flow::ExitCode;
use percept::media::cloud::{CloudFormat, CloudInfo, CloudLimits};
use percept::media::{picture, raw};
use percept::register::{
    self, Chain, CloudCard, Fine, InputCard, MatrixFormat, PointCloud, RegisterInput, RegisterOptions,
    Registration, ResultRecord, SequenceRecord, Side, Size, Start, Task, Transform,
};
use percept::{Envelope, Error, ModelCard, Predicted, Result, RunCard, Runtime, Timings, write};

use super::setup;
use crate::args::{MethodChoice, RegisterArguments, RegisterFormat};
use crate::report;

pub(crate) fn run(arguments: &RegisterArguments) -> Result<ExitCode> {
    let work = Work::new(arguments)?;
    let done = if arguments.sequence { work.sequence() } else { work.pair() };
    match done {
        // A file that is no cloud is a failed item, not wrong usage.
        Err(error @ Error::Input { .. }) => {
            report::error(&error);
            Ok(ExitCode::SomeFailed)
        }
        other => other,
    }
}

struct Work<'a> {
    arguments: &'a RegisterArguments,
    options: Arc<RegisterOptions>,
    // Never dropped: the process ends with the command.
    loaded: ManuallyDrop<percept::Loaded<Task>>,
    run: RunCard,
    picture: Option<PathBuf>,
}

/// A cloud with what is known of its file.
type Read = (Arc<PointCloud>, CloudInfo);

impl<'a> Work<'a> {
    fn new(arguments: &'a RegisterArguments) -> Result<Self> {
        let options = Arc::new(options(arguments)?);
        let first = arguments.clouds.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let stem = first.file_stem().unwrap_or(OsStr::new("cloud")).to_string_lossy();
        let picture = arguments
            .format
            .contains(&RegisterFormat::Png)
            .then(|| first.with_file_name(format!("{stem}.register.png")));
        if arguments.sequence && picture.is_some() {
            return Err(Error::argument("png is of two clouds, and --sequence takes many"));
        }
        if !arguments.sequence && arguments.clouds.len() != 2 {
            return Err(Error::Argument {
                message: format!(
                    "there are {} clouds, and a transform is between two",
                    arguments.clouds.len()
                ),
                hint: Some("add `--sequence` for scans one after the other".into()),
            });
        }
        if let Some(output) = &arguments.output {
            CloudFormat::of_path(output)?;
        }
        if arguments.sequence && arguments.raw.is_some() {
            return Err(Error::argument("--raw is of two clouds, and --sequence takes many"));
        }
        let outputs = [&arguments.output, &arguments.matrix, &arguments.report, &picture, &arguments.raw];
        check_outputs(arguments, &outputs.map(Option::as_deref))?;
        let mut runtime = Runtime::default();
        if let Some(threads) = arguments.threads {
            runtime.threads = usize::from(threads);
        }
        percept::use_threads(runtime.threads)?;
        let hub = setup::hub(&arguments.fetching, &arguments.progress);
        let loaded = ManuallyDrop::new(register::load(&hub, arguments.model.as_deref(), &runtime)?);
        let run = RunCard::new(&runtime, loaded.model.precision(), 0);
        Ok(Self { arguments, options, loaded, run, picture })
    }

    fn read(&self, path: &Path) -> Result<Read> {
        let limits = CloudLimits { max_points: u64::from(self.arguments.max_points) * 1_000_000 };
        let (cloud, info) = register::read(path, limits)?;
        if !self.arguments.progress.quiet {
            for found in &info.warnings {
                report::warning(&format!("`{}`: {found}", path.display()));
            }
        }
        Ok((cloud, info))
    }

    fn input(&self, source: &Read, target: &Read, options: &Arc<RegisterOptions>) -> RegisterInput {
        RegisterInput { source: source.0.clone(), target: target.0.clone(), options: options.clone() }
    }

    fn predict(
        &self,
        source: &Read,
        target: &Read,
        options: &Arc<RegisterOptions>,
    ) -> Result<Predicted<Registration>> {
        let input = self.input(source, target, options);
        let mut all = self.loaded.model.predict(std::slice::from_ref(&input))?;
        all.pop().ok_or_else(|| Error::argument("the method gave no answer"))
    }

    fn envelope(
        &self,
        card: InputCard<'_>,
        timings: &Timings,
        result: impl serde::Serialize,
    ) -> Result<String> {
        let model = ModelCard::new(&self.loaded);
        let timings = (!self.arguments.no_timings).then_some(timings);
        report::json(&Envelope::new::<Task>(card, &model, &self.run, timings, result))
    }

    fn pair(&self) -> Result<ExitCode> {
        let [source_path, target_path] = [0, 1].map(|at| self.arguments.clouds[at].as_path());
        let began = Instant::now();
        let (source, target) = (self.read(source_path)?, self.read(target_path)?);
        let decode = began.elapsed().as_secs_f64() * 1e3;
        let mut predicted = self.predict(&source, &target, &self.options)?;
        predicted.timings.decode = decode;
        let found = &predicted.output;
        if let Some(path) = &self.arguments.raw {
            raw::write(path, &self.loaded.model.raw(&self.input(&source, &target, &self.options))?)?;
        }
        if let Some(path) = &self.arguments.output {
            write_cloud(path, &source.0.moved(&found.transform, target.0.origin))?;
        }
        self.write_matrices(&[found.in_files()])?;
        if let Some(path) = &self.picture {
            write::atomic(path, &drawn(&source.0, &target.0, found)?)?;
        }
        let card =
            InputCard::new(CloudCard::new(source_path, &source.1), CloudCard::new(target_path, &target.1));
        self.tell(&self.envelope(card, &predicted.timings, ResultRecord::new(found))?)?;
        Ok(self.verdict(source_path, found))
    }

    fn sequence(&self) -> Result<ExitCode> {
        let mut code = ExitCode::Done;
        let paths = &self.arguments.clouds;
        let first = self.read(&paths[0])?;
        let mut chain = Chain::new(&first.0);
        let mut timings = Timings::default();
        let mut found = Vec::new();
        let first_info = first.1.clone();
        let mut previous = first;
        for path in &paths[1..] {
            let scan = self.read(path)?;
            let predicted = self.predict(&scan, &previous, &self.options)?;
            timings.prepare += predicted.timings.prepare;
            timings.model += predicted.timings.model;
            timings.finish += predicted.timings.finish;
            chain.add(&scan.0, &predicted.output.in_files());
            code = match self.verdict(path, &predicted.output) {
                ExitCode::Done => code,
                other => other,
            };
            found.push(predicted.output);
            previous = scan;
        }
        if let Some(path) = &self.arguments.output {
            write_cloud(path, chain.map())?;
        }
        self.write_matrices(chain.poses())?;
        let registrations = std::iter::once(None).chain(found.iter().map(Some));
        let scans = paths.iter().zip(chain.poses()).zip(registrations);
        let scans: Vec<(String, Transform, Option<&Registration>)> =
            scans.map(|((path, pose), found)| (path.to_string_lossy().into_owned(), *pose, found)).collect();
        let last = paths.last().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let card = InputCard::new(CloudCard::new(last, &previous.1), CloudCard::new(&paths[0], &first_info));
        self.tell(&self.envelope(card, &timings, SequenceRecord::new(&scans))?)?;
        Ok(code)
    }

    fn tell(&self, json: &str) -> Result<()> {
        if let Some(path) = &self.arguments.report {
            write::atomic(path, json.as_bytes())?;
        }
        report::data(json).map(drop)
    }

    fn write_matrices(&self, transforms: &[Transform]) -> Result<()> {
        let Some(path) = &self.arguments.matrix else { return Ok(()) };
        let format = match self.arguments.matrix_format {
            Some(choice) => choice.into(),
            None if path.extension() == Some(OsStr::new("json")) => MatrixFormat::Json,
            None => MatrixFormat::Rows,
        };
        write::atomic(path, register::matrices(transforms, format).as_bytes())
    }

    /// Says on standard error why an answer is not to be trusted.
    fn verdict(&self, path: &Path, found: &Registration) -> ExitCode {
        for reason in register::reasons(found) {
            report::warning(&format!("`{}` is not to be trusted: {reason}", path.display()));
        }
        if found.trusted() { ExitCode::Done } else { ExitCode::SomeFailed }
    }
}

fn options(arguments: &RegisterArguments) -> Result<RegisterOptions> {
    let guess = arguments.init.as_deref().map(register::read_transform).transpose()?;
    let from_guess = Start::Guess(guess.unwrap_or(Transform::IDENTITY));
    let locked = arguments.lock.unwrap_or_default();
    let (start, fine) = match (arguments.method, guess) {
        (MethodChoice::Auto, Some(_)) => (from_guess, Fine::Gicp),
        // A search knows no locks.
        (MethodChoice::Auto, None) if locked.any() => (from_guess, Fine::Gicp),
        (MethodChoice::Auto, None) => (Start::Anywhere, Fine::Gicp),
        (MethodChoice::Fpfh | MethodChoice::Learned | MethodChoice::Ransac, Some(_)) => {
            return Err(Error::argument(
                "a search takes no --init; name what refines it, such as `--method gicp`",
            ));
        }
        (MethodChoice::Fpfh | MethodChoice::Learned | MethodChoice::Ransac, None) if locked.any() => {
            return Err(Error::argument("a search cannot keep what is locked; name a start with --init"));
        }
        (MethodChoice::Fpfh, None) => (Start::Features, Fine::Gicp),
        (MethodChoice::Learned, None) => (Start::Learned, Fine::Gicp),
        (MethodChoice::Ransac, None) => (Start::Sampled, Fine::Gicp),
        (MethodChoice::Gicp, _) => (from_guess, Fine::Gicp),
        (MethodChoice::Vgicp, _) => (from_guess, Fine::Vgicp),
        (MethodChoice::Plane, _) => (from_guess, Fine::Plane),
        (MethodChoice::Point, _) => (from_guess, Fine::Point),
        (MethodChoice::Color, _) => (from_guess, Fine::Color),
    };
    Ok(RegisterOptions {
        start,
        fine: arguments.refine.unwrap_or(fine),
        kernel: arguments.kernel.unwrap_or_default(),
        trim: arguments.trim,
        voxels: arguments.voxel.clone(),
        max_distance: arguments.max_distance,
        max_iterations: arguments.max_iterations,
        neighbors: arguments.neighbors,
        inlier_distance: arguments.inlier_distance,
        size: if arguments.with_scale { Size::Estimated } else { Size::Same },
        locked,
    })
}

/// Nothing is replaced unasked, and never an input.
fn check_outputs(arguments: &RegisterArguments, outputs: &[Option<&Path>]) -> Result<()> {
    let same = |left: &Path, right: &Path| {
        left == right
            || left.canonicalize().is_ok_and(|left| right.canonicalize().is_ok_and(|right| left == right))
    };
    let named: Vec<&Path> = outputs.iter().copied().flatten().collect();
    for (at, output) in named.iter().enumerate() {
        let wrong = |message: String, hint: &str| Err(Error::Argument { message, hint: Some(hint.into()) });
        if arguments.clouds.iter().any(|input| same(input, output)) {
            return wrong(
                format!("`{}` is an input, and would be replaced", output.display()),
                "choose another name",
            );
        }
        if named[..at].iter().any(|other| same(other, output)) {
            return wrong(format!("`{}` is named for two outputs", output.display()), "choose another name");
        }
        if !arguments.overwrite && output.exists() {
            return wrong(format!("`{}` exists", output.display()), "replace it with `-y`");
        }
    }
    Ok(())
}

fn write_cloud(path: &Path, cloud: &PointCloud) -> Result<()> {
    write::atomic(path, &CloudFormat::of_path(path)?.encode(cloud)?)
}

/// Before and after in the target's coordinates.
fn drawn(source: &PointCloud, target: &PointCloud, found: &Registration) -> Result<Vec<u8>> {
    let before =
        source.moved(&Transform::IDENTITY.about_origins(source.origin, target.origin), target.origin);
    let after = source.moved(&found.transform, target.origin);
    let side = |title: String, source| Side { title, source, target: &target.points };
    let fit = &found.fit;
    let image = register::sides(&[
        side(format!("before: RMSE {:.4}", fit.rmse_before), &before.points),
        side(
            format!("after: RMSE {:.4}, {:.0}% met", fit.rmse_after, 100.0 * fit.inlier_ratio),
            &after.points,
        ),
    ]);
    picture::encode_png(&image)
}
