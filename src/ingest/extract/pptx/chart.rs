//! A chart as the table it was drawn from, as far as the file keeps its figures: one line a category,
//! under the names of the series.

use std::io::BufRead;

use super::{
    super::{
        ExtractError, Limits,
        draft::Draft,
        inline::one_line,
        table::write_row,
        xml::{self, Node},
    },
    Budget,
};

/// Series of one chart; more than anybody can tell apart.
const MAX_SERIES: usize = 256;

/// Points of a series that are listed.
const MAX_POINTS: usize = 10_000;

/// What a chart shows.
#[derive(Default)]
pub(super) struct Chart {
    title: String,
    series: Vec<Series>,
}

#[derive(Default)]
struct Series {
    name: String,
    categories: Vec<String>,
    values: Vec<String>,
}

/// Which of a series' lists is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Name,
    Categories,
    Values,
}

/// Reads a chart's part.
pub(super) fn read(part: impl BufRead, limits: &Limits) -> Result<Chart, ExtractError> {
    let mut chart = Chart::default();
    let mut budget = Budget::new(limits);
    let mut in_title = false;
    let mut in_text = false;
    let mut in_value = false;
    let mut list = None;
    let mut index = 0_usize;
    let mut text = String::new();
    xml::read(part, |node| {
        match node {
            Node::Open(tag) => match tag.name {
                "title" if chart.series.is_empty() => in_title = true,
                "t" => in_text = in_title,
                "ser" if chart.series.len() < MAX_SERIES => chart.series.push(Series::default()),
                "tx" => list = Some(List::Name),
                "cat" | "xVal" => list = Some(List::Categories),
                "val" | "yVal" => list = Some(List::Values),
                "pt" => index = tag.number("idx").unwrap_or(0),
                "v" => {
                    in_value = true;
                    text.clear();
                }
                _ => {}
            },
            Node::Close(name) => match name {
                "title" => in_title = false,
                "t" => in_text = false,
                "p" if in_title => chart.title.push(' '),
                "tx" | "cat" | "xVal" | "val" | "yVal" => list = None,
                "v" => {
                    in_value = false;
                    if let (Some(list), Some(series)) = (list, chart.series.last_mut()) {
                        budget.take(text.len())?;
                        series.add(list, index, one_line(&text));
                    }
                }
                _ => {}
            },
            Node::Text(piece) if in_text => {
                budget.take(piece.len())?;
                chart.title.push_str(piece);
            }
            Node::Text(piece) if in_value => {
                budget.take(piece.len())?;
                text.push_str(piece);
            }
            Node::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(chart)
}

impl Series {
    fn add(&mut self, list: List, index: usize, value: String) {
        let of = match list {
            List::Name => {
                self.name = value;
                return;
            }
            List::Categories => &mut self.categories,
            List::Values => &mut self.values,
        };
        // Points without a value are left out of the file.
        if index < MAX_POINTS {
            if of.len() <= index {
                of.resize(index + 1, String::new());
            }
            of[index] = value;
        }
    }
}

impl Chart {
    pub(super) fn write(&self, draft: &mut Draft) -> Result<(), ExtractError> {
        let title = one_line(&self.title);
        if !title.is_empty() {
            draft.end_line()?;
            draft.push(&title)?;
            draft.end_line()?;
        }
        let mut header = vec![String::new()];
        header.extend(self.series.iter().map(|s| s.name.clone()));
        write_row(draft, &header)?;
        let points = self.series.iter().map(|s| s.values.len()).max();
        for point in 0..points.unwrap_or(0) {
            let categories = self.series.iter().filter_map(|s| s.categories.get(point));
            let category = categories.into_iter().find(|c| !c.is_empty());
            let mut row = vec![category.cloned().unwrap_or_default()];
            let value = |s: &Series| s.values.get(point).map(|v| rounded(v));
            row.extend(self.series.iter().map(|s| value(s).unwrap_or_default()));
            if row.iter().skip(1).any(|cell| !cell.is_empty()) {
                write_row(draft, &row)?;
            }
        }
        Ok(())
    }
}

/// Figures are kept as computers count (`0.30000000000000004`).
fn rounded(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() && value.len() > 12 => {
            let short = format!("{number:.10}");
            let short = short.trim_end_matches('0').trim_end_matches('.');
            short.to_owned()
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_its_table() {
        let series = |name: &str, values: [&str; 2]| {
            format!(
                "<c:ser><c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>{name}</c:v></c:pt></c:strCache></c:strRef></c:tx>\
                 <c:cat><c:strCache><c:pt idx='0'><c:v>Q1</c:v></c:pt><c:pt idx='1'><c:v>Q2</c:v></c:pt></c:strCache></c:cat>\
                 <c:val><c:numCache><c:formatCode>General</c:formatCode><c:pt idx='0'><c:v>{}</c:v></c:pt><c:pt idx='1'><c:v>{}</c:v></c:pt></c:numCache></c:val></c:ser>",
                values[0], values[1]
            )
        };
        let source = format!(
            "<c:chartSpace><c:chart><c:title><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:title>{}{}</c:chart></c:chartSpace>",
            series("North", ["1", "0.30000000000000004"]),
            series("South", ["7", ""]),
        );
        let limits = Limits::default();
        let mut draft = Draft::new(&limits);
        read(source.as_bytes(), &limits)
            .unwrap()
            .write(&mut draft)
            .unwrap();
        assert_eq!(
            draft.finish().0,
            "Sales\n | North | South\nQ1 | 1 | 7\nQ2 | 0.3"
        );
    }
}
