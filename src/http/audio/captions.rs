//! Segments as files of captions: SubRip and WebVTT.

use std::fmt::Write;

use crate::ports::Segment;

/// SubRip.
pub fn srt(segments: &[Segment]) -> String {
    let mut file = String::new();
    for (n, segment) in segments.iter().enumerate() {
        let (start, end) = (time(segment.start, ','), time(segment.end, ','));
        let text = segment.text.trim();
        let _ = write!(file, "{}\n{start} --> {end}\n{text}\n\n", n + 1);
    }
    file
}

/// WebVTT.
pub fn vtt(segments: &[Segment]) -> String {
    let mut file = "WEBVTT\n\n".to_owned();
    for segment in segments {
        let (start, end) = (time(segment.start, '.'), time(segment.end, '.'));
        // An arrow in a line of text would be read as a time.
        let text = segment.text.trim().replace("-->", "→");
        let _ = write!(file, "{start} --> {end}\n{text}\n\n");
    }
    file
}

/// `00:01:02,345`.
fn time(seconds: f32, mark: char) -> String {
    let ms = (f64::from(seconds.max(0.0)) * 1000.0).round() as u64;
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}{mark}{:03}",
        ms / 1000 % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions() {
        let segment = |start, end, text: &str| Segment {
            start,
            end,
            text: text.to_owned(),
            ..Segment::default()
        };
        let segments = [
            segment(0.0, 4.2, " Rent is due."),
            segment(3661.0, 3662.5, " Pay --> it."),
        ];
        assert_eq!(
            srt(&segments),
            "1\n00:00:00,000 --> 00:00:04,200\nRent is due.\n\n\
             2\n01:01:01,000 --> 01:01:02,500\nPay --> it.\n\n"
        );
        assert_eq!(
            vtt(&segments),
            "WEBVTT\n\n00:00:00.000 --> 00:00:04.200\nRent is due.\n\n\
             01:01:01.000 --> 01:01:02.500\nPay → it.\n\n"
        );
        assert_eq!(
            (srt(&[]), vtt(&[])),
            (String::new(), "WEBVTT\n\n".to_owned())
        );
    }
}
