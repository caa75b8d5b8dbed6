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
    server: Server,
}

/// The server that is asked: the usual one, or one at another place.
#[derive(Clone, Default)]
struct Server {
    /// `HOST[:PORT]`.
    named: Option<String>,
}

impl Server {
    /// Fails if it can't be a host, and perhaps a port.
    fn parse(named: Option<&str>) -> Result<Self> {
        let server = Self { named: named.map(str::to_owned) };
        let plain = |c: char| !(c.is_whitespace() || c.is_control());
        let is_host = |host: &str| !host.is_empty() && !host.starts_with('-') && host.chars().all(plain);
        match server.parts() {
            Some((host, port))
                if !is_host(host) || port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|p| p > 0)) =>
            {
                Err(Error::input(format!(
                    "adb_server {}: give HOST or HOST:PORT, as 10.0.0.5:5037",
                    named.unwrap_or_default()
                )))
            }
            _ => Ok(server),
        }
    }

    fn parts(&self) -> Option<(&str, Option<&str>)> {
        let named = self.named.as_deref()?;
        Some(named.rsplit_once(':').map_or((named, None), |(host, port)| (host, Some(port))))
    }

    fn client(&self) -> Command {
        let mut command = Command::new("adb");
        if let Some((host, port)) = self.parts() {
            command.args(["-H", host]);
            command.args(port.iter().flat_map(|port| ["-P", port]));
        }
        command
    }
}

impl Adb {
    /// Reads what comes after `adb:`; `None` for the only device that there is. `server` is where it is, if not here.
    pub fn parse(serial: Option<&str>, server: Option<&str>) -> Result<Self> {
        let server = Server::parse(server)?;
        let plain = |c: char| !(c.is_whitespace() || c.is_control());
        match serial {
            Some(s) if s.is_empty() || s.starts_with('-') || !s.chars().all(plain) => Err(Error::input(
                format!("target adb:{s}: give adb or adb:SERIAL, as `adb devices` lists them"),
            )),
            serial => Ok(Self { serial: serial.map(str::to_owned), server }),
        }
    }

    fn client(&self) -> Command {
        let mut command = self.server.client();
        if let Some(serial) = &self.serial {
            command.args(["-s", serial]);
        }
        command
    }
}

impl Shell for Adb {
    fn name(&self) -> String {
        let name = self.serial.as_ref().map_or_else(|| "adb".into(), |serial| format!("adb:{serial}"));
        // Two servers may have a phone of the same serial.
        self.server.named.as_ref().map_or(name.clone(), |server| format!("{name} at {server}"))
    }

    fn folder(&self) -> &'static str {
        "/data/local/tmp/oplat"
    }

    fn connect(&self, interrupt: &Interrupt) -> Result<(), Failed> {
        // The server connects to devices in the network only when it is told to, and forgets those that it lost.
        if let Some(serial) = self.serial.as_ref().filter(|serial| serial.contains(':')) {
            shell::finish(self.server.client().args(["connect", serial]), LIMIT, interrupt)?;
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
    let listed = shell::finish(Server::default().client().arg("devices"), LIMIT, &Interrupt::default());
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
        assert_eq!(Adb::parse(None, None).expect("the only one").name(), "adb");
        assert_eq!(Adb::parse(Some("192.168.1.7:5555"), None).expect("one").name(), "adb:192.168.1.7:5555");
        for serial in ["", "-e", "a b", "a\n"] {
            assert!(Adb::parse(Some(serial), None).is_err(), "{serial:?}");
        }
    }

    #[test]
    fn another_server_is_asked_by_its_host_and_port() {
        let adb = Adb::parse(Some("0123"), Some("farm.local:5038")).expect("one");
        assert_eq!(adb.name(), "adb:0123 at farm.local:5038");
        let client = adb.client();
        let words: Vec<_> = client.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words, ["-H", "farm.local", "-P", "5038", "-s", "0123"]);
        assert_eq!(Adb::parse(None, Some("farm")).expect("one").client().get_args().count(), 2);
        for server in ["", ":5037", "farm:", "farm:0", "farm:x", "-L", "a b"] {
            assert!(Adb::parse(None, Some(server)).is_err(), "{server:?}");
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
        let adb = Adb::parse(None, None).expect("the only one");
        assert!(!adb.advice("error: device unauthorized.").again);
        assert!(adb.advice("error: device 'x' not found").again);
    }
}
