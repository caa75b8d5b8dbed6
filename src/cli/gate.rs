//! A limit on how much slower variants of one measurement may be than their original.

use crate::compare::Limit;
use crate::error::{Error, Exit, Result};
use crate::record::{Record, Role, Variant};
use crate::units;

/// What is said where a limit has nothing to be a limit of.
pub const NOTHING: &str = "there is nothing to compare: give a second model, --act or --mix";

/// Fails if a variant is surely slower than its original by more than the limit, failed, or may be slower.
pub fn kept(record: &Record, limit: Limit) -> Result<()> {
    let asked = || record.variants.iter().filter(|v| v.role != Role::Control);
    let named = |of: &dyn Fn(&Variant) -> bool| {
        asked().filter(|v| of(v)).map(|v| v.name.as_str()).collect::<Vec<_>>().join(" | ")
    };
    let emulated = record.environment.emulated;
    let keeps = |v: &Variant| v.delta.as_ref().filter(|_| !emulated).map(|delta| delta.keeps(limit.share()));
    let share = units::percent(limit.share());
    let slower = named(&|v| keeps(v) == Some(Some(false)));
    let failed = named(&|v| v.error.is_some());
    let told = [(format!("slower by more than {share}%"), slower), ("failed".to_owned(), failed)];
    let told: Vec<String> = told
        .into_iter()
        .filter(|(_, about)| !about.is_empty())
        .map(|(what, about)| format!("{what}: {about}"))
        .collect();
    if !told.is_empty() {
        return Err(Error { exit: Exit::Regression, message: told.join("; ") });
    }
    let unknown = if emulated {
        "an emulator's times say nothing about a device".to_owned()
    } else {
        match (named(&|v| keeps(v) == Some(None)), asked().any(|v| v.delta.is_some())) {
            (open, true) if open.is_empty() => return Ok(()),
            (open, true) => format!("{open}; give more --time or --forks, and an idle machine"),
            (_, false) => NOTHING.to_owned(),
        }
    };
    let message = format!("can't tell whether slower by more than {share}%: {unknown}");
    Err(Error { exit: Exit::Inconclusive, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn exit(record: &Record, limit: &str) -> Option<(Exit, String)> {
        kept(record, limit.parse().expect("a share")).err().map(|error| (error.exit, error.message))
    }

    #[test]
    fn a_limit_is_kept_broken_or_open_by_where_the_whole_interval_lies() {
        // Mish takes 1.144 to 1.159 times as long.
        let mut record = fixture::record();
        assert_eq!(exit(&record, "20%"), None);
        let (code, told) = exit(&record, "5%").expect("broken");
        assert_eq!((code, told.as_str()), (Exit::Regression, "slower by more than 5.0%: mish, exported"));
        let (code, told) = exit(&record, "15%").expect("open");
        assert!(code == Exit::Inconclusive && told.contains("mish, exported; give more --time"), "{told}");

        record.variants[1].error = Some("it died".into());
        assert_eq!(exit(&record, "20%").map(|(code, _)| code), Some(Exit::Regression));
        record.variants[1].error = None;
        record.environment.emulated = true;
        let (code, told) = exit(&record, "5%").expect("nobody knows");
        assert!(code == Exit::Inconclusive && told.contains("emulator"), "{told}");
        record.environment.emulated = false;
        record.variants.truncate(1);
        let (code, told) = exit(&record, "5%").expect("nothing is compared");
        assert!(code == Exit::Inconclusive && told.contains("a second model"), "{told}");
    }
}
