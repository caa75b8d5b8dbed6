//! Tells the program with which profile it is built, which the record says.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo gives the profile that a custom one inherits from: `debug` for `dev`.
    let profile = match std::env::var("PROFILE").as_deref() {
        Ok("debug") => "dev",
        Ok("release") => "release",
        _ => "unknown",
    };
    println!("cargo::rustc-env=OPLAT_PROFILE={profile}");
}
