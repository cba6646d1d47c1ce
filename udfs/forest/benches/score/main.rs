//! Forests: our kernel's paths against ONNX Runtime, on one thread, in one run.
//!
//! ```text
//! python benches/peers/forest_models.py            # makes the models and rows, once
//! DAVY_ONNXRUNTIME=…/libonnxruntime.so.1.31.1 cargo bench -p davy-forest --bench score -- f8-d8
//! ```
//! Benches are named `model/batch/backend`. Models that were not made are left out, and so is ONNX Runtime where
//! `DAVY_ONNXRUNTIME` does not name it. `DAVY_BENCH_MODELS` names another folder than `~/.cache/davy/bench-models`.
//! The clock is the thread's time on its core. A pass goes over different rows each time: a benchmark that scores the same rows again measures a branch predictor.
//!
//! The trees come from a dump beside each ONNX file: what is measured here is the kernel, not the reader.
#![expect(clippy::disallowed_methods, reason = "the environment names the folder of a bench's models")]

mod model;
mod thread_time;

use std::path::{Path as FilePath, PathBuf};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use davy_forest::native::{Kernel, Path};
use model::Rows;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use thread_time::ThreadTime;

const MODELS: [&str; 8] = ["f8-d8", "f8-d10", "f8-d16", "f8-d20", "f8-dmax", "f24-d8", "f24-d16", "f24-dmax"];
const BATCHES: [usize; 3] = [1, 1_024, 16_384];
const PATHS: [Path; 2] = [Path::Avx512, Path::Portable];

fn score(criterion: &mut Criterion<ThreadTime>) {
    let folder = std::env::var_os("DAVY_BENCH_MODELS").map_or_else(default_folder, PathBuf::from);
    let library = std::env::var_os("DAVY_ONNXRUNTIME");
    let environment = library.map(|library| {
        let builder = ort::environment::init_from(library).expect("ONNX Runtime loads");
        builder.with_name("bench").build().expect("ONNX Runtime starts")
    });
    // Loading a large model takes longer than measuring it: look at the filter first, which criterion does not show.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for name in MODELS {
        let is_wanted = name.contains(filter.split('/').next().unwrap_or_default());
        if is_wanted && folder.join(format!("{name}.forest")).exists() {
            score_model(criterion, &folder, name, environment.as_ref());
        }
    }
}

fn default_folder() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/davy/bench-models")
}

fn score_model(
    criterion: &mut Criterion<ThreadTime>,
    folder: &FilePath,
    name: &str,
    environment: Option<&Environment>,
) {
    let forest = model::load(&folder.join(format!("{name}.forest")));
    let rows = model::load_rows(folder, forest.n_features());
    let kernels: Vec<Kernel> =
        PATHS.iter().filter_map(|path| Kernel::with_path(&forest, 1, *path).expect("output 1 exists")).collect();
    let mut session = environment.map(|environment| open(environment, &folder.join(format!("{name}.onnx"))));
    if let Some(session) = &mut session {
        check_equal(&kernels, session, &rows);
    }
    drop(forest);
    for batch in BATCHES {
        let mut group = criterion.benchmark_group(format!("{name}/{batch}"));
        group.throughput(Throughput::Elements(batch as u64)).sampling_mode(SamplingMode::Flat);
        group.sample_size(12).warm_up_time(std::time::Duration::from_millis(500));
        group.measurement_time(std::time::Duration::from_secs(2));
        for kernel in &kernels {
            let mut scores = vec![0.0; batch];
            let mut batches = rows.batches(batch);
            group.bench_function(kernel.name(), |bencher| {
                bencher.iter(|| kernel.score(&batches.next_columns(), &mut scores));
            });
        }
        if let Some(session) = &mut session {
            let mut batches = rows.batches(batch);
            group.bench_function("onnxruntime", |bencher| {
                bencher.iter(|| onnxruntime(session, batches.next_row_major()));
            });
        }
        group.finish();
    }
}

fn open(environment: &Environment, path: &FilePath) -> Session {
    Session::builder(environment)
        .and_then(|builder| builder.with_optimization_level(GraphOptimizationLevel::Level3).map_err(Into::into))
        .and_then(|builder| builder.with_intra_threads(1).map_err(Into::into))
        .and_then(|builder| builder.with_inter_threads(1).map_err(Into::into))
        .and_then(|mut builder| builder.commit_from_file(path))
        .expect("ONNX Runtime opens the model")
}

/// The probabilities of class 1.
fn onnxruntime(session: &mut Session, (shape, values): ([usize; 2], Vec<f32>)) -> Vec<f32> {
    let input = Tensor::from_array((shape, values)).expect("as many values as the shape says");
    let outputs = session.run(ort::inputs![input]).expect("ONNX Runtime scores");
    let (_, probabilities) = outputs[1].try_extract_tensor::<f32>().expect("the second output is f32");
    probabilities.iter().skip(1).step_by(2).copied().collect()
}

/// Our f64 sums against ONNX Runtime's f32 sums.
fn check_equal(kernels: &[Kernel], session: &mut Session, rows: &Rows) {
    let mut batches = rows.batches(4_096);
    let columns = batches.next_columns();
    let expected = onnxruntime(session, rows.batches(4_096).next_row_major());
    for kernel in kernels {
        let mut scores = vec![0.0; expected.len()];
        kernel.score(&columns, &mut scores);
        let off = scores.iter().zip(&expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
        assert!(off < 2e-6, "{} is {off} off ONNX Runtime", kernel.name());
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = score
}
criterion_main!(benches);
