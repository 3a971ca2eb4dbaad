//! Times a Vision Transformer, and writes what it computes.
//!
//! ```text
//! cargo run --release -p percept-backbone --example vit -- FOLDER PIXELS.safetensors \
//!     [--precision f32|bf16|int8] [--threads N] [--runs N] [--output STATES.safetensors] [--serve]
//! ```
//!
//! FOLDER holds `config.json` and `model.safetensors`; PIXELS has `pixel_values` `[batch, 3, height,
//! width]`. Prints JSON with the median of `--runs` runs after one that is not counted. With `--serve`
//! it prints `{"ready": true}`, runs once for each line that it reads, and answers each with
//! `{"ms": ...}`, so that peers can take turns.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{Device, Tensor, Weights, instruction_set};
use percept_core::{LocalModel, Precision};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// As the program has it: with the system's, every large buffer is fetched page by page again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The command line: two paths, then options by name.
struct Arguments {
    folder: PathBuf,
    pixels: PathBuf,
    options: HashMap<String, String>,
    serve: bool,
}

impl Arguments {
    fn read() -> Result<Self> {
        let (mut paths, mut options, mut serve) = (Vec::new(), HashMap::new(), false);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some("serve") => serve = true,
                Some(name) => {
                    let value = arguments.next().ok_or_else(|| format!("--{name} wants a value"))?;
                    options.insert(name.to_owned(), value);
                }
                None => paths.push(PathBuf::from(argument)),
            }
        }
        match <[PathBuf; 2]>::try_from(paths) {
            Ok([folder, pixels]) => Ok(Self { folder, pixels, options, serve }),
            Err(_) => Err("usage: vit FOLDER PIXELS.safetensors [options]".into()),
        }
    }

    fn number(&self, name: &str, default: usize) -> Result<usize> {
        self.options.get(name).map_or(Ok(default), |text| Ok(text.parse()?))
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let threads = arguments.number("threads", 2)?;
    let precision = arguments.options.get("precision").map_or("f32", String::as_str).parse::<Precision>()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    // Everything runs inside the pool, so that no kernel has to hand its work over.
    pool.install(|| run(&arguments, precision, threads).map_err(|error| error.to_string()))?;
    Ok(())
}

fn run(arguments: &Arguments, precision: Precision, threads: usize) -> Result<()> {
    let began = Instant::now();
    let vit = load(&arguments.folder, precision)?;
    let load_ms = began.elapsed().as_secs_f64() * 1e3;
    let pixels = read(&arguments.pixels, "pixel_values")?;
    let states = vit.tokens(&pixels)?;
    if let Some(output) = arguments.options.get("output") {
        let values = states.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let view = TensorView::new(Dtype::F32, states.dims().to_vec(), &bytes)?;
        safetensors::serialize_to_file([("last_hidden_state", view)], None, Path::new(output))?;
    }
    let timed = || -> Result<f64> {
        let began = Instant::now();
        vit.tokens(&pixels)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    if arguments.serve {
        println!("{}", serde_json::json!({"ready": true}));
        for line in std::io::stdin().lock().lines() {
            line?;
            println!("{}", serde_json::json!({"ms": timed()?}));
            std::io::stdout().flush()?;
        }
        return Ok(());
    }
    let mut times = (0..arguments.number("runs", 15)?.max(1)).map(|_| timed()).collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    let report = serde_json::json!({
        "precision": precision.to_string(),
        "threads": threads,
        "instruction_set": instruction_set(),
        "shape": states.dims(),
        "load_ms": load_ms,
        "median_ms": times[times.len() / 2],
        "best_ms": times[0],
    });
    println!("{report}");
    Ok(())
}

fn load(folder: &Path, precision: Precision) -> Result<Vit> {
    let config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let local = LocalModel::of_folder(&folder.display().to_string(), folder)?;
    let weights = Weights::open_safetensors(&local, &Device::Cpu)?.in_precision(precision);
    let (config, names) = VitConfig::of(&config)?;
    Ok(Vit::load(&weights, &config, &names)?)
}

/// A tensor of 32-bit floats.
fn read(path: &Path, name: &str) -> Result<Tensor> {
    let bytes = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let view = file.tensor(name)?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` is {:?}, not F32", view.dtype()).into());
    }
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(Tensor::from_vec(values.collect(), view.shape(), &Device::Cpu)?)
}
