//! Slips of the finger: the name that a user may have meant.

/// The name that the user may have meant, if one is near enough.
pub fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const NEAR: f64 = 0.7;
    let typed = typed.to_lowercase();
    let rated = names.into_iter().map(|name| (strsim::jaro_winkler(&typed, name), name));
    rated.filter(|(near, _)| *near >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let names = ["yolov5n", "yolov5s", "mobilenet-v2"];
        assert_eq!(nearest("yolov5", names), Some("yolov5n"));
        assert_eq!(nearest("Yolo5s", names), Some("yolov5s"));
        assert_eq!(nearest("mobilenetv2", names), Some("mobilenet-v2"));
        assert_eq!(nearest("resnet50", names), None);
    }
}
