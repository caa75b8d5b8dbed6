//! A fuzzer's buffer, changed by the damage that tests do.

#[allow(dead_code)]
#[path = "../../tests/it/mutate.rs"]
mod mutate;

pub use mutate::Damage;

/// Puts what `change` makes of the first `size` bytes in their place: three times of four, if it fits. Else the fuzzer is
/// to change them in its own way.
pub fn changed(
    buffer: &mut [u8],
    size: usize,
    most: usize,
    seed: u32,
    change: impl FnOnce(&mut Damage, &[u8]) -> Option<Vec<u8>>,
) -> Option<usize> {
    let mut damage = Damage::new(seed.into());
    let new = if damage.below(4) > 0 { change(&mut damage, &buffer[..size]) } else { None }?;
    buffer.get_mut(..new.len()).filter(|_| new.len() <= most)?.copy_from_slice(&new);
    Some(new.len())
}

/// A text, changed.
#[allow(dead_code)]
pub fn text(damage: &mut Damage, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(damage.text(std::str::from_utf8(bytes).ok()?).into_bytes())
}
