//! Records as text. A record may come from anywhere: what it says is looked over before it is taken for figures, so that
//! no sum of them overflows and no report fills the memory.

use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::bench::Bench;
use super::{Record, Settings};
use crate::error::{Error, Result};
use crate::limits::{self, check};
use crate::units;

/// Reads a record. Fails if it is damaged, or holds more or larger numbers than any measurement has.
///
/// Verdicts are what its intervals allow: older versions called a difference none where it only might be.
pub fn record(text: &[u8]) -> Result<Record> {
    let mut record: Record = document(text)?;
    check_looks(&record.settings)?;
    let margin = record.settings.margin;
    record.variants.iter_mut().filter_map(|v| v.delta.as_mut()).for_each(|delta| delta.judge(margin));
    Ok(record)
}

/// Fails for looks that no measurement has: what intervals hold is worked out from one to the next.
fn check_looks(settings: &Settings) -> Result<()> {
    let looks = settings.looks.as_deref().unwrap_or_default();
    // One that was cut off had a fork still to come.
    let most = limits::FORKS as usize + 1;
    let in_order = looks.windows(2).all(|pair| pair[0].forks <= pair[1].forks);
    match in_order && looks.iter().all(|look| look.forks <= look.of && look.of <= most) {
        true => Ok(()),
        false => Err(Error::input(
            "the record is damaged: it was looked at after forks that it can't have: measure again",
        )),
    }
}

/// The same for a record of activations on their own.
pub fn bench(text: &[u8]) -> Result<Bench> {
    document(text)
}

/// The same for any document of ours.
pub fn document<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    check(text.len() as u64, limits::RECORD_BYTES, "bytes")?;
    let damaged = |e: serde_json::Error| Error::input(format!("the record is damaged: {e}"));
    let looks: Looks = serde_json::from_slice(text).map_err(damaged)?;
    if looks.sum > limits::RECORD_SUM.into() {
        let most = units::integer(limits::RECORD_SUM);
        let why = "no times and sizes come to that";
        return Err(Error::input(format!(
            "the record is damaged: its numbers add up to more than {most}, and {why}: measure again"
        )));
    }
    check(looks.objects.saturating_mul(looks.longest), limits::REPORT_BYTES, "bytes of names in its tables")?;
    serde_json::from_slice(text).map_err(damaged)
}

/// What a document is like before anybody knows what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looks {
    /// Of all whole numbers without their signs, but for seeds, which are nothing to add up.
    pub sum: u128,
    objects: u64,
    /// Bytes of the longest text.
    longest: u64,
}

impl Looks {
    fn add(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.objects += other.objects;
        self.longest = self.longest.max(other.longest);
    }

    fn number<E>(n: u64) -> Result<Self, E> {
        Ok(Self { sum: n.into(), ..Self::default() })
    }
}

impl<'de> Deserialize<'de> for Looks {
    fn deserialize<D: Deserializer<'de>>(document: D) -> Result<Self, D::Error> {
        document.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Looks;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Looks, E> {
        Looks::number(0)
    }

    fn visit_unit<E>(self) -> Result<Looks, E> {
        Looks::number(0)
    }

    fn visit_u64<E>(self, n: u64) -> Result<Looks, E> {
        Looks::number(n)
    }

    fn visit_i64<E>(self, n: i64) -> Result<Looks, E> {
        Looks::number(n.unsigned_abs())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Looks, E> {
        Looks::number(0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Looks, E> {
        Ok(Looks { longest: text.len() as u64, ..Looks::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Looks, A::Error> {
        let mut looks = Looks::default();
        while let Some(part) = parts.next_element::<Looks>()? {
            looks.add(part);
        }
        Ok(looks)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Looks, A::Error> {
        let mut looks = Looks { objects: 1, ..Looks::default() };
        while let Some(key) = parts.next_key::<String>()? {
            match key.as_str() {
                "seed" => drop(parts.next_value::<IgnoredAny>()?),
                _ => looks.add(parts.next_value()?),
            }
        }
        Ok(looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Look;

    #[test]
    fn looks_that_no_measurement_has_are_refused() {
        let settings = |looks: &[(usize, usize)]| Settings {
            looks: Some(looks.iter().map(|&(forks, of)| Look { forks, of, confidence: 0.99 }).collect()),
            ..Settings::default()
        };
        assert!(check_looks(&Settings::default()).is_ok());
        assert!(check_looks(&settings(&[(4, 24), (6, 24), (24, 24)])).is_ok());
        for wrong in [&[(4, 2_000_000)][..], &[(25, 24)], &[(6, 24), (4, 24)]] {
            assert!(check_looks(&settings(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_added_up_wherever_they_stand() {
        let looks: Looks = serde_json::from_str(
            r#"{"seed": 18446744073709551615, "a": [1, {"b": -2}], "c": 0.5, "d": "four"}"#,
        )
        .unwrap();
        assert_eq!(looks, Looks { sum: 3, objects: 2, longest: 4 });
        let looks: Looks = serde_json::from_str("[18446744073709551615, 18446744073709551615]").unwrap();
        assert_eq!(looks.sum, 2 * u128::from(u64::MAX));
    }

    #[test]
    fn figures_that_no_sum_holds_are_refused() {
        let told = record(br#"{"mean_ns": [9223372036854775807, 1]}"#).unwrap_err().message;
        assert!(told.contains("add up to more than 72,057,594,037,927,936"), "{told}");
        let name = "n".repeat(1_000_000);
        let rows = vec![r#"{"a": 1}"#; 2_000].join(",");
        let told =
            record(format!(r#"{{"name": "{name}", "rows": [{rows}]}}"#).as_bytes()).unwrap_err().message;
        assert!(told.contains("more than the 1,000,000,000 that oplat takes"), "{told}");
    }
}
