//! A part of a plan, for one of several machines.

use std::path::Path;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::{InputSource, Plan};

/// One of `count` parts into which a plan is divided by a hash of its inputs' paths: every machine that lists the same
/// inputs under the same paths divides them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u64,
    count: u64,
}

impl Shard {
    /// Part `index` of `count`, from 0; `None` where there is no such part.
    pub fn new(index: u64, count: u64) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Of a Slurm array (`SLURM_ARRAY_TASK_ID`, `_MIN`, `_STEP`, `_COUNT`) or a Kubernetes indexed job
    /// (`JOB_COMPLETION_INDEX`), which does not say how many parts there are.
    fn from_environment(
        count: Option<u64>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let number = |name: &str| variable(name).and_then(|text| text.trim().parse::<u64>().ok());
        let (index, counted) = match (number("SLURM_ARRAY_TASK_ID"), number("JOB_COMPLETION_INDEX")) {
            (Some(task), _) => {
                let (first, step) = (
                    number("SLURM_ARRAY_TASK_MIN").unwrap_or(0),
                    number("SLURM_ARRAY_TASK_STEP").unwrap_or(1),
                );
                (task.saturating_sub(first) / step.max(1), number("SLURM_ARRAY_TASK_COUNT"))
            }
            (None, Some(index)) => (index, None),
            (None, None) => {
                return Err("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; say K/N".into());
            }
        };
        let count =
            count.or(counted).ok_or("the environment does not say how many parts there are; say auto/N")?;
        Self::new(index, count).ok_or_else(|| format!("the environment says part {} of {count}", index + 1))
    }

    /// Whether an input is of this part.
    fn holds(self, path: &Path) -> bool {
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let head = digest.iter().take(8).fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
        head % self.count == self.index
    }

    /// What the manifest of this part is called: `percept-run.2-of-8.jsonl`.
    pub fn manifest_name(self) -> String {
        format!("percept-run.{}-of-{}.jsonl", self.index + 1, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `K/N` with K from 1 to N, `auto`, or `auto/N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is no number"));
        match text.split_once('/') {
            Some(("auto", count)) => {
                Self::from_environment(Some(number(count)?), |name| std::env::var(name).ok())
            }
            None if text == "auto" => Self::from_environment(None, |name| std::env::var(name).ok()),
            Some((part, count)) => {
                let (part, count) = (number(part)?, number(count)?);
                let shard = part.checked_sub(1).and_then(|index| Self::new(index, count));
                shard.ok_or_else(|| format!("there is no part {part} of {count}; parts are 1 to {count}"))
            }
            None => Err("a part is K/N, such as 2/8, or auto".into()),
        }
    }
}

impl Plan {
    /// The items of one part. Names were settled for the whole plan, so parts never share an output.
    pub(super) fn part(mut self, shard: Shard) -> Self {
        self.items.retain(|item| match &item.input {
            InputSource::Path(path) => shard.holds(path),
            InputSource::Stdin => shard.index == 0,
        });
        self.unreadable.retain(|(path, _)| shard.holds(path));
        self.items.iter_mut().enumerate().for_each(|(index, item)| item.index = index);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn plan(count: usize) -> Plan {
        let item = |index: usize| Item {
            index,
            input: InputSource::Path(format!("in/{index}.wav").into()),
            outputs: vec![],
        };
        Plan { items: (0..count).map(item).collect(), ..Plan::default() }
    }

    #[test]
    fn every_item_is_in_one_part() {
        let all = plan(1000);
        let parts: Vec<Plan> = (0..7).map(|index| all.clone().part(Shard::new(index, 7).unwrap())).collect();
        for part in &parts {
            assert!((90..200).contains(&part.items.len()), "{}", part.items.len());
            assert!(part.items.iter().enumerate().all(|(index, item)| item.index == index));
        }
        let mut inputs: Vec<_> =
            parts.into_iter().flat_map(|part| part.items).map(|item| item.input).collect();
        inputs.sort_by_key(|input| input.path().to_owned());
        let mut wanted: Vec<_> = all.items.into_iter().map(|item| item.input).collect();
        wanted.sort_by_key(|input| input.path().to_owned());
        assert_eq!(inputs, wanted);
    }

    #[test]
    fn the_division_never_changes() {
        // By Python's hashlib, the first eight bytes modulo 7: parts of runs that were begun must stay.
        let shard = |path: &str| (0..7).find(|index| Shard::new(*index, 7).unwrap().holds(Path::new(path)));
        assert_eq!(["in/0.wav", "in/3.wav", "a b"].map(shard), [Some(4), Some(5), Some(2)]);
    }

    #[test]
    fn parts_are_named_and_found() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 1, count: 8 }));
        assert_eq!(Shard::new(1, 8).unwrap().manifest_name(), "percept-run.2-of-8.jsonl");
        for wrong in ["0/8", "9/8", "1/0", "x/3", "3", "", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        let of = |count: Option<u64>, set: &[(&str, &str)]| {
            Shard::from_environment(count, |name| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "5"),
        ];
        assert_eq!(of(None, &slurm), Ok(Shard { index: 2, count: 5 }));
        assert_eq!(of(Some(3), &[("JOB_COMPLETION_INDEX", "0")]), Ok(Shard { index: 0, count: 3 }));
        assert!(of(None, &[("JOB_COMPLETION_INDEX", "0")]).unwrap_err().contains("auto/N"));
        assert!(of(Some(3), &[("JOB_COMPLETION_INDEX", "3")]).is_err());
        assert!(of(Some(3), &[]).is_err());
    }
}
