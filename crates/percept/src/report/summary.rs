//! What stands above the results, as plain HTML: it is there without a script too.

use std::path::Path;

use percept_flow::{Identity, Milliseconds, Record, Status};
use serde_json::{Map, Value};

use super::escape::html;
use super::item::{cut, envelope};
use super::link;

/// Failures that are listed at most.
const MOST_FAILURES: usize = 2_000;

/// Where the time of a stage is.
type StageTime = fn(&Milliseconds) -> f64;

/// The stages of an item.
const STAGES: [(&str, StageTime); 5] = [
    ("decode", |ms| ms.decode),
    ("prepare", |ms| ms.prepare),
    ("model", |ms| ms.model),
    ("finish", |ms| ms.finish),
    ("write", |ms| ms.write),
];

/// All stages of an item together, in milliseconds.
pub(super) fn total(ms: &Milliseconds) -> f64 {
    STAGES.iter().map(|(_, of)| of(ms)).sum()
}

/// What is known of all records together.
pub(super) struct Summary<'a> {
    runs: Vec<Run<'a>>,
    done: Vec<&'a Record>,
    failed: Vec<&'a Record>,
    folder: &'a Path,
}

/// Records that were made alike.
struct Run<'a> {
    identity: &'a Identity,
    count: usize,
    /// What the first JSON says of the model and the machine.
    card: Option<[Map<String, Value>; 2]>,
    /// Why there is no card although something is done.
    lacking: Option<String>,
    looked: bool,
}

const NO_JSON: &str =
    "The run wrote no JSON (-f json): classes, scores, masks and times of segments are not known here.";

impl<'a> Summary<'a> {
    /// For a page in `folder`.
    pub(super) fn new(records: &'a [Record], folder: &'a Path) -> Self {
        let mut runs: Vec<Run<'a>> = Vec::new();
        for record in records {
            let known = runs.iter_mut().find(|run| *run.identity == record.identity);
            let run = match known {
                Some(run) => run,
                None => {
                    let identity = &record.identity;
                    runs.push(Run { identity, count: 0, card: None, lacking: None, looked: false });
                    runs.last_mut().expect("it was pushed")
                }
            };
            run.count += 1;
            if record.status == Status::Done && !run.looked {
                // All of a run have the same formats: if this one has no JSON, none has.
                run.looked = true;
                match envelope(record) {
                    Ok(Some(mut envelope)) => run.card = Some([envelope.model(), envelope.runtime]),
                    Ok(None) => run.lacking = Some(NO_JSON.to_owned()),
                    Err(error) => {
                        let hint = "paths in a manifest are from where percept ran";
                        run.lacking = Some(format!("{} ({hint})", error.chain()));
                    }
                }
            }
        }
        let of = |status: Status| records.iter().filter(|record| record.status == status).collect();
        Self { runs, done: of(Status::Done), failed: of(Status::Failed), folder }
    }

    /// The page's title, escaped.
    pub(super) fn title(&self) -> String {
        let mut tasks: Vec<&str> = self.runs.iter().map(|run| run.identity.task.as_str()).collect();
        tasks.dedup();
        let tasks = if tasks.is_empty() { "nothing".to_owned() } else { tasks.join(", ") };
        html(&format!("percept {}: {} done, {} failed", cut(&tasks), self.done.len(), self.failed.len()))
    }

    pub(super) fn html(&self) -> String {
        let pair = format!("<div class=\"pair\">\n{}{}</div>\n", self.times(), self.cards());
        [self.counts(), self.failures(), pair].concat()
    }

    fn counts(&self) -> String {
        let all = self.done.len() + self.failed.len();
        let ms: f64 = self.done.iter().map(|record| total(&record.ms)).sum();
        let each = if self.done.is_empty() { 0.0 } else { ms / self.done.len() as f64 };
        let tile = |kind: &str, number: String, what: &str| {
            format!("<div class=\"tile {kind}\"><dd>{number}</dd><dt>{what}</dt></div>")
        };
        let failed = if self.failed.is_empty() { "" } else { "bad" };
        format!(
            "<dl class=\"tiles\" id=\"counts\" data-done=\"{}\">{}{}{}{}{}</dl>\n",
            self.done.len(),
            tile("", grouped(all), "inputs"),
            tile("", grouped(self.done.len()), "done"),
            tile(failed, grouped(self.failed.len()), "failed"),
            tile("", duration(ms), "all stages"),
            tile("", duration(each), "an input")
        )
    }

    fn failures(&self) -> String {
        if self.failed.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "<section aria-labelledby=\"failures-title\"><h2 id=\"failures-title\">{} failed</h2>\n\
             <ol id=\"failures\" tabindex=\"0\" aria-labelledby=\"failures-title\">\n",
            grouped(self.failed.len())
        );
        for record in self.failed.iter().take(MOST_FAILURES) {
            let name =
                named(&record.input.path.path, link::relative(self.folder, &record.input.path.to_path()));
            let why = html(&cut(record.error.as_deref().unwrap_or("no reason was recorded")));
            text.push_str(&format!("<li><p class=\"name\">{name}</p><p class=\"why\">{why}</p></li>\n"));
        }
        text.push_str("</ol>\n");
        if let Some(more) = self.failed.len().checked_sub(MOST_FAILURES).filter(|more| *more > 0) {
            text.push_str(&format!("<p>And {} more, which the manifest names.</p>\n", grouped(more)));
        }
        text + "</section>\n"
    }

    fn times(&self) -> String {
        if self.done.is_empty() {
            return String::new();
        }
        let count = self.done.len() as f64;
        let sum = |of: StageTime| self.done.iter().map(|record| of(&record.ms)).sum::<f64>();
        let all: f64 = STAGES.iter().map(|(_, of)| sum(*of)).sum();
        let rows = STAGES.iter().map(|(name, of)| {
            let sum = sum(*of);
            let most = self.done.iter().map(|record| of(&record.ms)).fold(0.0, f64::max);
            format!(
                "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td>\
                 <td><meter min=\"0\" max=\"{:.3}\" value=\"{sum:.3}\">{:.0}%</meter></td></tr>\n",
                duration(sum),
                duration(sum / count),
                duration(most),
                all.max(1e-3),
                100.0 * sum / all.max(1e-3)
            )
        });
        format!(
            "<details open><summary>Times</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Times\"><table><thead><tr><th scope=\"col\">stage</th><th scope=\"col\">sum</th>\
             <th scope=\"col\">an input</th><th scope=\"col\">longest</th><th scope=\"col\">share</th></tr></thead>\n\
             <tbody>\n{}</tbody></table></div>\n<p class=\"small\">Stages overlap in a run: their sum is more than \
             the time that it took.</p></details>\n",
            rows.collect::<String>()
        )
    }

    /// What made the results.
    fn cards(&self) -> String {
        let card = |run: &Run<'_>| {
            let Identity { task, model, parameters } = run.identity;
            let mut rows = vec![("inputs".to_owned(), grouped(run.count))];
            match &run.card {
                Some([model, runtime]) => {
                    let values = |map: &Map<String, Value>, before: &str| -> Vec<(String, String)> {
                        map.iter().map(|(name, value)| (format!("{before}{name}"), words(value))).collect()
                    };
                    rows.extend(values(model, "model "));
                    rows.extend(values(runtime, ""));
                }
                None => {
                    rows.push(("model id".to_owned(), model.id.clone()));
                    rows.push(("model sha256".to_owned(), model.sha256.clone()));
                }
            }
            rows.push(("options sha256".to_owned(), parameters.clone()));
            let row = |(name, value): &(String, String)| {
                format!("<div><dt>{}</dt><dd>{}</dd></div>", html(&cut(name)), html(&cut(value)))
            };
            // Several would fill the screen.
            let open = if self.runs.len() == 1 { " open" } else { "" };
            let rows: String = rows.iter().filter(|(_, value)| !value.is_empty()).map(row).collect();
            let missing = match &run.lacking {
                Some(why) => format!("<p class=\"missing\">{}</p>\n", html(&cut(why))),
                None => String::new(),
            };
            format!(
                "<details class=\"made\"{open}><summary>{} with {}</summary>\n{missing}<dl class=\"card-rows\">{rows}</dl></details>\n",
                html(&cut(task)),
                html(&cut(&model.id))
            )
        };
        self.runs.iter().map(card).collect()
    }
}

/// A name, as a link where there is one, escaped.
fn named(name: &str, link: Option<String>) -> String {
    let name = html(&cut(name));
    match link {
        Some(link) => format!("<a href=\"{}\">{name}</a>", html(&link)),
        None => name,
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `12,345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds as people say them: `3.1 ms`, `4.20 s`, `2 min 5 s`, `3 h 12 min`.
fn duration(ms: f64) -> String {
    let seconds = ms / 1000.0;
    let whole = seconds.round() as u64;
    match ms {
        ms if ms < 1000.0 => format!("{ms:.1} ms"),
        ms if ms < 60_000.0 => format!("{seconds:.2} s"),
        ms if ms < 3_600_000.0 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let said = [0.25, 999.0, 4_200.0, 125_000.0, 11_520_000.0].map(duration);
        assert_eq!(said, ["0.2 ms", "999.0 ms", "4.20 s", "2 min 5 s", "3 h 12 min"]);
    }
}
