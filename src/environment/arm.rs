//! Arm's cores by the numbers under which `/proc/cpuinfo` has them: which kind of core a figure is of matters more
//! than the name of the chip that it is in.

/// Arm Limited, as an implementer of cores.
const ARM: u32 = 0x41;

/// Parts that Arm designed and that phones, boards and servers have, from its technical reference manuals.
const PARTS: [(u32, &str); 27] = [
    (0xd03, "Cortex-A53"),
    (0xd04, "Cortex-A35"),
    (0xd05, "Cortex-A55"),
    (0xd07, "Cortex-A57"),
    (0xd08, "Cortex-A72"),
    (0xd09, "Cortex-A73"),
    (0xd0a, "Cortex-A75"),
    (0xd0b, "Cortex-A76"),
    (0xd0c, "Neoverse-N1"),
    (0xd0d, "Cortex-A77"),
    (0xd40, "Neoverse-V1"),
    (0xd41, "Cortex-A78"),
    (0xd44, "Cortex-X1"),
    (0xd46, "Cortex-A510"),
    (0xd47, "Cortex-A710"),
    (0xd48, "Cortex-X2"),
    (0xd49, "Neoverse-N2"),
    (0xd4b, "Cortex-A78C"),
    (0xd4c, "Cortex-X1C"),
    (0xd4d, "Cortex-A715"),
    (0xd4e, "Cortex-X3"),
    (0xd4f, "Neoverse-V2"),
    (0xd80, "Cortex-A520"),
    (0xd81, "Cortex-A720"),
    (0xd82, "Cortex-X4"),
    (0xd85, "Cortex-X925"),
    (0xd87, "Cortex-A725"),
];

/// The core's name, or its numbers where it has none here; both as `/proc/cpuinfo` writes them (`0x41`).
pub fn core(implementer: &str, part: &str) -> Option<String> {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (by, is) = (number(implementer)?, number(part)?);
    let known = PARTS.iter().find(|(part, _)| by == ARM && *part == is);
    Some(
        known.map_or_else(
            || format!("part {part} of implementer {implementer}"),
            |(_, name)| (*name).to_owned(),
        ),
    )
}
