//! The driver, with a model that does as it is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use percept_core::transcribe::Transcript;
use percept_core::{Error, Model, Precision, Predicted, Prediction, RawTensor, Result, Task, Timings};
use percept_flow::{
    Failure, InputSource, Interrupt, Item, ItemTimes, Observer, OnFailure, OutputTarget, Plan, RunOptions,
    Stage, Summary, run, serve,
};

enum Double {}

struct Doubled(usize);

impl Task for Double {
    const NAME: &'static str = "double";
    type Input = usize;
    type Output = Doubled;
}

impl From<Doubled> for Prediction {
    fn from(_: Doubled) -> Self {
        Self::Transcribe(Transcript::default())
    }
}

/// Doubles numbers, except those it is told to choke on.
#[derive(Default)]
struct Doubler {
    batch: usize,
    fails_on: HashSet<usize>,
    panics_on: HashSet<usize>,
    /// Answers one too few when it sees these.
    forgets: HashSet<usize>,
    calls: Mutex<Vec<Vec<usize>>>,
}

impl Model<Double> for Doubler {
    fn predict(&self, inputs: &[usize]) -> Result<Vec<Predicted<Doubled>>> {
        self.calls.lock().unwrap().push(inputs.to_vec());
        if let Some(input) = inputs.iter().find(|input| self.panics_on.contains(input)) {
            panic!("no doubling of {input}");
        }
        if let Some(input) = inputs.iter().find(|input| self.fails_on.contains(input)) {
            return Err(Error::Compute { model: "doubler".into(), cause: format!("{input} is odd").into() });
        }
        let forgotten = inputs.iter().any(|input| self.forgets.contains(input));
        let outputs = inputs.iter().skip(usize::from(forgotten));
        Ok(outputs.map(|x| Predicted { output: Doubled(2 * x), timings: Timings::default() }).collect())
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn raw(&self, _: &usize) -> Result<Vec<RawTensor>> {
        Ok(Vec::new())
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

fn doubler(batch: usize) -> Doubler {
    Doubler { batch, ..Doubler::default() }
}

fn plan(length: usize) -> Plan {
    let items = (0..length)
        .map(|index| Item {
            index,
            input: InputSource::Path(format!("{index}.in").into()),
            outputs: vec![OutputTarget::File(format!("{index}.out").into())],
        })
        .collect();
    Plan { items, ..Plan::default() }
}

fn read(item: &Item) -> Result<(usize, String)> {
    Ok((item.index, format!("meta {}", item.index)))
}

/// Runs and returns what was written.
fn written(
    model: &Doubler,
    plan: &Plan,
    read: impl Fn(&Item) -> Result<(usize, String)> + Sync,
    options: &RunOptions,
) -> (Vec<(usize, String, usize)>, Summary) {
    let written = Mutex::new(Vec::new());
    let write = |item: &Item, meta: String, predicted: Predicted<Doubled>| {
        written.lock().unwrap().push((item.index, meta, predicted.output.0));
        Ok(())
    };
    let summary = run(model, plan, read, write, options, &());
    (written.into_inner().unwrap(), summary)
}

fn expected(indices: impl IntoIterator<Item = usize>) -> Vec<(usize, String, usize)> {
    indices.into_iter().map(|index| (index, format!("meta {index}"), 2 * index)).collect()
}

fn failed(summary: &Summary) -> Vec<(String, String)> {
    let line = |failure: &Failure| (failure.input.path().to_str().unwrap().to_owned(), failure.error.chain());
    summary.failed.iter().map(line).collect()
}

#[test]
fn every_result_is_written_with_its_own_meta_and_by_one_job_in_order() {
    for batch in [1, 3, 8, 100] {
        for jobs in [1, 2, 7, 50] {
            let options = RunOptions { jobs: NonZero::new(jobs).unwrap(), ..RunOptions::default() };
            let slow_start = |item: &Item| {
                if item.index == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
                read(item)
            };
            let (mut written, summary) = written(&doubler(batch), &plan(20), slow_start, &options);
            if jobs > 1 {
                written.sort();
            }
            assert_eq!(written, expected(0..20), "batch {batch}, jobs {jobs}");
            assert_eq!((summary.planned, summary.done, summary.failed.len()), (20, 20, 0));
            assert_eq!(summary.exit_code().code(), 0);
        }
    }
}

#[test]
fn batches_are_consecutive_items_and_the_options_beat_the_model() {
    let model = doubler(3);
    written(&model, &plan(7), read, &RunOptions::default());
    assert_eq!(*model.calls.lock().unwrap(), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);

    let model = doubler(3);
    written(&model, &plan(4), read, &RunOptions { batch: Some(2), ..RunOptions::default() });
    assert_eq!(*model.calls.lock().unwrap(), [vec![0, 1], vec![2, 3]]);
}

#[test]
fn a_broken_input_costs_itself_only() {
    let some_broken = |item: &Item| match item.index {
        3 => Err(Error::input(item.input.path(), "not a number")),
        5 => panic!("decoder fell over"),
        _ => read(item),
    };
    let model = doubler(4);
    let (written, summary) = written(&model, &plan(9), some_broken, &RunOptions::default());
    assert_eq!(written, expected([0, 1, 2, 4, 6, 7, 8]));
    assert_eq!(summary.done, 7);
    assert_eq!(
        failed(&summary),
        [
            ("3.in".into(), "cannot read `3.in`: not a number".into()),
            (
                "5.in".into(),
                "cannot read `5.in`: internal error, please report it: decoder fell over".to_owned()
            ),
        ]
    );
    assert_eq!(summary.exit_code().code(), 1);
}

#[test]
fn a_failed_batch_is_tried_one_by_one() {
    let model = Doubler { batch: 4, fails_on: [1, 6].into(), panics_on: [9].into(), ..Doubler::default() };
    let options = RunOptions { model: "doubler".into(), ..RunOptions::default() };
    let (written, summary) = written(&model, &plan(12), read, &options);
    assert_eq!(written, expected([0, 2, 3, 4, 5, 7, 8, 10, 11]));
    assert_eq!(
        failed(&summary),
        [
            ("1.in".into(), "`doubler` failed on this input: 1 is odd".into()),
            ("6.in".into(), "`doubler` failed on this input: 6 is odd".into()),
            (
                "9.in".into(),
                "`doubler` failed on this input: internal error, please report it: no doubling of 9"
                    .to_owned()
            ),
        ]
    );
    let calls = model.calls.lock().unwrap();
    assert_eq!(calls[..5], [vec![0, 1, 2, 3], vec![0], vec![1], vec![2], vec![3]]);
}

#[test]
fn an_answer_too_few_never_shifts_the_others() {
    let model = Doubler { batch: 3, forgets: [1].into(), ..Doubler::default() };
    let (written, summary) = written(&model, &plan(6), read, &RunOptions::default());
    assert_eq!(written, expected([0, 2, 3, 4, 5]));
    assert_eq!(failed(&summary)[0].1, "`` failed on this input: 0 outputs for 1 inputs");
}

#[test]
fn a_result_that_cannot_be_written_costs_itself_only() {
    let count = AtomicUsize::new(0);
    let write = |item: &Item, _: String, _: Predicted<Doubled>| match item.index {
        1 => Err(Error::Output { path: "1.out".into(), cause: "disk full".into(), hint: None }),
        2 => panic!("writer fell over"),
        _ => {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let summary = run(&doubler(2), &plan(5), read, write, &RunOptions::default(), &());
    assert_eq!(summary.done, 3);
    assert_eq!(
        failed(&summary),
        [
            ("1.in".into(), "cannot write `1.out`: disk full".into()),
            (
                "2.in".into(),
                "cannot write `2.out`: internal error, please report it: writer fell over".to_owned()
            ),
        ]
    );
    assert_eq!(count.into_inner(), 3);
}

#[test]
fn folders_that_could_not_be_listed_are_failures() {
    let plan = Plan { unreadable: vec![("locked".into(), "permission denied".into())], ..plan(2) };
    let (_, summary) = written(&doubler(1), &plan, read, &RunOptions::default());
    assert_eq!(summary.done, 2);
    assert_eq!(failed(&summary), [("locked".into(), "cannot read `locked`: permission denied".to_owned())]);
    assert_eq!(summary.exit_code().code(), 1);
}

/// Counts itself while it is alive: stands for decoded media.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_slow_writer_bounds_what_is_in_memory() {
    let alive = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let read = |item: &Item| {
        let now = alive.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        Ok((item.index, Counted(&alive)))
    };
    let write = |_: &Item, counted: Counted<'_>, _: Predicted<Doubled>| {
        std::thread::sleep(Duration::from_millis(2));
        drop(counted);
        Ok(())
    };
    for jobs in [1, 2] {
        let options =
            RunOptions { batch: Some(3), jobs: NonZero::new(jobs).unwrap(), ..RunOptions::default() };
        let summary = run(&doubler(1), &plan(60), read, write, &options, &());
        assert_eq!(summary.done, 60);
        let bound = options.most_in_flight(1);
        assert_eq!(bound, 3 * 3 * jobs);
        let most = most.swap(0, Ordering::SeqCst);
        assert!(most <= bound, "{most} in flight");
        assert!(most > 3 * jobs, "nothing overlapped: {most} in flight");
    }
}

#[test]
fn reading_overlaps_with_writing() {
    // Item 1 is read while item 0 is being written, or this never ends.
    let (tell, told) = std::sync::mpsc::channel();
    let tell = Mutex::new(tell);
    let read = |item: &Item| {
        if item.index == 2 {
            tell.lock().unwrap().send(()).unwrap();
        }
        Ok((item.index, ()))
    };
    let told = Mutex::new(told);
    let write = |item: &Item, (): (), _: Predicted<Doubled>| {
        if item.index == 0 {
            told.lock().unwrap().recv_timeout(Duration::from_secs(20)).expect("no overlap");
        }
        Ok(())
    };
    let summary = run(&doubler(1), &plan(4), read, write, &RunOptions::default(), &());
    assert_eq!(summary.done, 4, "{:?}", summary.failed);
}

#[test]
fn an_interrupt_finishes_what_has_begun_and_begins_nothing() {
    let interrupt = Interrupt::new();
    let reads = AtomicUsize::new(0);
    let counting = |item: &Item| {
        reads.fetch_add(1, Ordering::SeqCst);
        read(item)
    };
    let done = Mutex::new(Vec::new());
    let write = |item: &Item, _: String, _: Predicted<Doubled>| {
        if item.index == 2 {
            interrupt.press();
        }
        done.lock().unwrap().push(item.index);
        Ok(())
    };
    let options = RunOptions { interrupt: interrupt.clone(), ..RunOptions::default() };
    let summary = run(&doubler(1), &plan(1000), counting, write, &options, &());
    assert!(summary.interrupted);
    assert_eq!(summary.exit_code().code(), 130);
    assert!(summary.failed.is_empty());
    let done = done.into_inner().unwrap();
    assert_eq!(summary.done, done.len());
    assert_eq!(done, (0..done.len()).collect::<Vec<_>>());
    assert!((3..=7).contains(&done.len()), "{}", done.len());
    assert!(reads.into_inner() <= 3 + options.most_in_flight(1));
}

#[test]
fn an_interrupt_in_the_model_is_no_failure() {
    struct Stops;
    impl Model<Double> for Stops {
        fn predict(&self, inputs: &[usize]) -> Result<Vec<Predicted<Doubled>>> {
            if inputs == [1] {
                return Err(Error::Interrupted);
            }
            doubler(1).predict(inputs)
        }
        fn raw(&self, _: &usize) -> Result<Vec<RawTensor>> {
            Ok(Vec::new())
        }
        fn precision(&self) -> Precision {
            Precision::F32
        }
    }
    let summary = run(&Stops, &plan(100), read, |_, _, _| Ok(()), &RunOptions::default(), &());
    assert!(summary.interrupted && summary.failed.is_empty());
    assert!(summary.done < 10, "{}", summary.done);
}

#[test]
fn fail_fast_begins_nothing_after_a_failure() {
    let broken = |item: &Item| if item.index == 2 { Err(Error::argument("broken")) } else { read(item) };
    let options = RunOptions { on_failure: OnFailure::Stop, ..RunOptions::default() };
    let (written, summary) = written(&doubler(1), &plan(1000), broken, &options);
    assert!(written.len() < 10);
    assert_eq!(summary.failed.len(), 1);
    assert_eq!(summary.exit_code().code(), 1);
}

#[test]
fn a_reader_of_stdout_that_goes_away_ends_the_run_quietly() {
    let mut plan = plan(1000);
    for item in &mut plan.items {
        item.outputs = vec![OutputTarget::Stdout];
    }
    let write = |item: &Item, _: String, _: Predicted<Doubled>| match item.index {
        0..3 => Ok(()),
        _ => Err(Error::Output {
            path: "-".into(),
            cause: Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
            hint: None,
        }),
    };
    let summary = run(&doubler(1), &plan, read, write, &RunOptions::default(), &());
    assert_eq!((summary.done, summary.failed.len()), (3, 0));
    assert!(summary.stdout_closed);
    assert_eq!(summary.exit_code().code(), 0);
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn stage(&self, item: &Item, stage: Stage) {
        self.0.lock().unwrap().push(format!("{} {stage:?}", item.index));
    }
    fn finished(&self, item: &Item, times: &ItemTimes) -> Result<()> {
        assert!(times.timings.decode > 0.0, "the driver measures what the model leaves open");
        self.0.lock().unwrap().push(format!("{} finished", item.index));
        Ok(())
    }
    fn failed(&self, failure: &Failure) {
        self.0.lock().unwrap().push(format!("{} failed", failure.input.path().display()));
    }
}

#[test]
fn an_observer_sees_every_stage_and_every_end() {
    let log = Log::default();
    let broken = |item: &Item| if item.index == 1 { Err(Error::argument("broken")) } else { read(item) };
    run(&doubler(1), &plan(3), broken, |_, _, _| Ok(()), &RunOptions::default(), &log);
    let log = log.0.into_inner().unwrap();
    let of = |start: &str| log.iter().filter(|line| line.starts_with(start)).cloned().collect::<Vec<_>>();
    assert_eq!(of("0"), ["0 Read", "0 Predict", "0 Write", "0 finished"]);
    assert_eq!(of("1"), ["1 Read", "1.in failed"]);
    assert_eq!(of("2"), ["2 Read", "2 Predict", "2 Write", "2 finished"]);
}

#[test]
fn an_empty_plan_is_done() {
    let (written, summary) = written(&doubler(4), &plan(0), read, &RunOptions::default());
    assert!(written.is_empty());
    assert_eq!(summary.exit_code().code(), 0);
}

fn jobs(count: usize) -> RunOptions {
    RunOptions { jobs: NonZero::new(count).unwrap(), ..RunOptions::default() }
}

#[test]
fn a_slow_item_holds_up_nobody_but_is_told_of_in_its_turn() {
    // The first item is done when all others are, or this never ends.
    let others = AtomicUsize::new(0);
    let write = |item: &Item, _: String, _: Predicted<Doubled>| {
        if item.index > 0 {
            others.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let began = std::time::Instant::now();
        while others.load(Ordering::SeqCst) < 99 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let log = Log::default();
    let summary = run(&doubler(1), &plan(100), read, write, &jobs(2), &log);
    assert_eq!((summary.done, others.into_inner()), (100, 99));
    let log = log.0.into_inner().unwrap();
    let index = |line: &String| line.strip_suffix(" finished")?.parse::<usize>().ok();
    assert_eq!(log.iter().filter_map(index).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

#[test]
fn what_goes_to_stdout_goes_in_order() {
    let mut plan = plan(200);
    for item in &mut plan.items {
        item.outputs = vec![OutputTarget::Stdout];
    }
    let uneven = |item: &Item| {
        std::thread::sleep(Duration::from_micros((item.index as u64 * 7919) % 400));
        read(item)
    };
    let (written, summary) = written(&doubler(1), &plan, uneven, &jobs(4));
    assert_eq!(written, expected(0..200));
    assert_eq!(summary.done, 200);
}

#[test]
fn with_several_jobs_an_interrupt_loses_nothing_that_has_begun() {
    for at in 0..20 {
        let interrupt = Interrupt::new();
        let options = RunOptions { interrupt: interrupt.clone(), ..jobs(3) };
        let (begun, at_press) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let write = |item: &Item, _: String, _: Predicted<Doubled>| {
            let now = begun.fetch_add(1, Ordering::SeqCst) + 1;
            if item.index == at {
                interrupt.press();
                // Others went on while this one was on its way.
                at_press.store(begun.load(Ordering::SeqCst).max(now), Ordering::SeqCst);
            }
            Ok(())
        };
        let summary = run(&doubler(2), &plan(1000), read, write, &options, &());
        assert!(summary.interrupted);
        assert_eq!(summary.done, begun.into_inner());
        let bound = at_press.into_inner() + options.most_in_flight(2);
        // Items before the pressing one may not have been begun: jobs do not wait for each other.
        assert!(summary.done <= bound, "{} of {bound}", summary.done);
    }
}

#[test]
fn an_answer_comes_before_the_next_question() {
    // Each question is asked when the one before it is answered, or this never ends.
    let (answered, wait) = std::sync::mpsc::channel();
    let questions = (0..50).map(move |index| {
        if index > 0 {
            let answer: usize = wait.recv_timeout(Duration::from_secs(20)).expect("no answer");
            assert_eq!(answer, 2 * (index - 1));
        }
        plan(index + 1).items.remove(index)
    });
    let answered = Mutex::new(answered);
    let write = |_: &Item, _: String, predicted: Predicted<Doubled>| {
        // Behind the last question nobody listens.
        let _ = answered.lock().unwrap().send(predicted.output.0);
        Ok(())
    };
    let summary = serve(&doubler(8), questions, read, write, &jobs(3), &());
    assert_eq!((summary.done, summary.failed.len()), (50, 0));
}
