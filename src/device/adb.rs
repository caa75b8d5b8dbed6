//! Phones that are reached by Android's own client, `adb`, whose server keeps the connection.

use std::process::Command;
use std::time::Duration;

use super::Interrupt;
use super::shell::{self, Advice, Failed, Shell};
use crate::error::{Error, Result};

/// How long the client may take: it may have to start its server first, and to find the phone.
const LIMIT: Duration = Duration::from_secs(20);

const ADVICE: [Advice; 6] = [
    Advice::give_up("unauthorized", "; allow this computer on the phone's screen"),
    Advice::give_up("more than one device", "; name one: adb:SERIAL (`adb devices` lists them)"),
    Advice::give_up("no permissions", "; give this user access to USB devices (udev), or replug it"),
    Advice::try_again("offline", "; replug it, or switch USB debugging off and on"),
    Advice::try_again(
        "not found",
        "; check its cable, that USB debugging is on, and its serial with `adb devices`",
    ),
    Advice::try_again("no devices", "; check its cable, and that USB debugging is on"),
];

/// `adb[:serial]`.
pub(super) struct Adb {
    serial: Option<String>,
}

impl Adb {
    /// Reads what comes after `adb:`; `None` for the only device that there is.
    pub fn parse(serial: Option<&str>) -> Result<Self> {
        let plain = |c: char| !(c.is_whitespace() || c.is_control());
        match serial {
            Some(s) if s.is_empty() || s.starts_with('-') || !s.chars().all(plain) => Err(Error::input(
                format!("target adb:{s}: give adb or adb:SERIAL, as `adb devices` lists them"),
            )),
            serial => Ok(Self { serial: serial.map(str::to_owned) }),
        }
    }

    fn client(&self) -> Command {
        let mut command = Command::new("adb");
        if let Some(serial) = &self.serial {
            command.args(["-s", serial]);
        }
        command
    }
}

impl Shell for Adb {
    fn name(&self) -> String {
        self.serial.as_ref().map_or_else(|| "adb".into(), |serial| format!("adb:{serial}"))
    }

    fn folder(&self) -> &'static str {
        "/data/local/tmp/oplat"
    }

    fn connect(&self, interrupt: &Interrupt) -> Result<(), Failed> {
        // The server connects to devices in the network only when it is told to, and forgets those that it lost.
        if let Some(serial) = self.serial.as_ref().filter(|serial| serial.contains(':')) {
            shell::finish(Command::new("adb").args(["connect", serial]), LIMIT, interrupt)?;
        }
        let (state, said) = shell::finish(self.client().arg("get-state"), LIMIT, interrupt)?;
        let state = String::from_utf8_lossy(&state).trim().to_owned();
        match state.as_str() {
            "device" | "recovery" => Ok(()),
            "" => Err(Failed::Cut(shell::last_words(&said))),
            state => Err(Failed::Cut(format!("the device is {state}"))),
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.client();
        // Without a terminal, bytes go through unchanged.
        command.args(["shell", "-T", line]);
        command
    }

    fn known(&self) -> &'static [Advice] {
        &ADVICE
    }
}

/// The serials of the devices that the client knows; else what to do to have them.
pub fn phones() -> Result<Vec<String>, String> {
    let listed = shell::finish(Command::new("adb").arg("devices"), LIMIT, &Interrupt::default());
    match listed {
        Ok((list, _)) => Ok(serials(&String::from_utf8_lossy(&list))),
        Err(Failed::Client(_)) => {
            Err("there is no adb here; install Android's platform-tools to reach any".into())
        }
        Err(_) => Err("adb gives no answer; try `adb kill-server`".into()),
    }
}

/// The serials in what `adb devices` prints. A device that is offline or not allowed says so when it is looked at.
fn serials(list: &str) -> Vec<String> {
    let lines = list.lines().skip_while(|line| !line.starts_with("List of")).skip(1);
    lines.filter_map(|line| Some(line.split_once('\t')?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_one_plain_word() {
        assert_eq!(Adb::parse(None).expect("the only one").name(), "adb");
        assert_eq!(Adb::parse(Some("192.168.1.7:5555")).expect("one").name(), "adb:192.168.1.7:5555");
        for serial in ["", "-e", "a b", "a\n"] {
            assert!(Adb::parse(Some(serial)).is_err(), "{serial:?}");
        }
    }

    #[test]
    fn phones_are_listed_by_serial() {
        let list = "* daemon started successfully\nList of devices attached\n0123\tdevice\n10.0.0.2:5555\toffline\n\n";
        assert_eq!(serials(list), ["0123", "10.0.0.2:5555"]);
        assert!(serials("").is_empty());
    }

    #[test]
    fn a_phone_that_was_not_allowed_is_not_tried_again() {
        let adb = Adb::parse(None).expect("the only one");
        assert!(!adb.advice("error: device unauthorized.").again);
        assert!(adb.advice("error: device 'x' not found").again);
    }
}
