use super::*;

fn check(written: &str, expected: &str) {
    assert_eq!(speakable(written, "en"), expected, "{written:?}");
}

#[test]
fn citations_are_for_the_screen() {
    check("Rent is due monthly. [1]", "Rent is due monthly.");
    check("Rent [1], and water [2, 3].", "Rent, and water.");
    check("It is so [4-6] here.", "It is so here.");
    check("[1] Rent is due.", "Rent is due.");
    check("An [aside] stays.", "An [aside] stays.");
}

#[test]
fn marks_of_markdown_are_not_said() {
    check("**Rent** is _due_ `now`.", "Rent is due now.");
    check("# The lease\nRent is due", "The lease. Rent is due");
    check(
        "See [the lease](https://example.com/a?b=c).",
        "See the lease.",
    );
    check("a | b", "a, b");
    check("snake_case", "snake case");
}

#[test]
fn numbers() {
    check("0", "zero");
    check("7 dogs", "seven dogs");
    check("21", "twenty-one");
    check("105", "one hundred five");
    check("1,234", "one thousand two hundred thirty-four");
    check("1,000,000", "one million");
    check("3.14", "three point one four");
    check("-5", "minus five");
    check("007", "zero zero seven");
    check("99999999999999999999999", &["nine"; 23].join(" "));
    check("5-10 people", "five to ten people");
    check("It has 12.", "It has twelve.");
    check("1,23", "one twenty-three");
    check("#5", "number five");
}

#[test]
fn ordinals_and_years() {
    check("1st, 2nd, 3rd", "first, second, third");
    check("the 20th", "the twentieth");
    check("the 112th", "the one hundred twelfth");
    check("in 1999", "in nineteen ninety-nine");
    check("in 1900", "in nineteen hundred");
    check("in 1906", "in nineteen oh six");
    check("in 2000", "in two thousand");
    check("in 2005", "in two thousand five");
    check("in 2024", "in twenty twenty-four");
}

#[test]
fn dates_and_times() {
    check("2024-03-01", "March first, twenty twenty-four");
    check(
        "by 2023-12-31.",
        "by December thirty-first, twenty twenty-three.",
    );
    check("2024-13-01", "two zero two four thirteen zero one");
    check("on 1 March", "on the first of March");
    check("at 14:30", "at fourteen thirty");
    check("at 9:05", "at nine oh five");
    check("at 9:00", "at nine o'clock");
}

#[test]
fn money_and_measures() {
    check("$5", "five dollars");
    check("$1", "one dollar");
    check(
        "$1,234.50",
        "one thousand two hundred thirty-four dollars and fifty cents",
    );
    check("£0.01", "one penny");
    check("20€", "twenty euros");
    check("$5 million", "five million dollars");
    check("20%", "twenty percent");
    check("5 km", "five kilometers");
    check("1 kg", "one kilogram");
    check("21.5°C", "twenty-one point five degrees Celsius");
    check("250ms", "two hundred fifty milliseconds");
}

#[test]
fn abbreviations() {
    check("e.g. rent", "for example rent");
    check("Dr. Smith", "Doctor Smith");
    check("rent, water, etc.", "rent, water, et cetera.");
    check("No. 5", "number five");
    check("He said no. Then he left.", "He said no. Then he left.");
    check("p. 12", "page twelve");
    check("tea & cake", "tea and cake");
}

#[test]
fn addresses() {
    check(
        "See https://www.example.com/a/b?c=d.",
        "See example dot com.",
    );
    check(
        "mail ann-b@example.org now",
        "mail ann dash b at example dot org now",
    );
    check("@home", "@home");
}

#[test]
fn figures_among_letters() {
    check("COVID-19", "COVID nineteen");
    check("v2.1", "v two point one");
    check(
        "call 555-0199",
        "call five hundred fifty-five to zero one nine nine",
    );
    check("A4", "A four");
}

#[test]
fn marks_are_heard_once() {
    check("Yes – no", "Yes, no");
    check("one\ntwo\n\nthree.", "one. two. three.");
    check("  ", "");
    check("[1]", "");
    check("Wait…", "Wait…");
}

#[test]
fn other_languages_keep_their_figures() {
    let check = |written: &str, expected: &str| assert_eq!(speakable(written, "de"), expected);
    check(
        "Die Miete beträgt 1.200 € [1].",
        "Die Miete beträgt 1.200 €.",
    );
}

#[test]
fn nothing_breaks_it() {
    let strange = [
        "[",
        "]",
        "[1",
        "[](",
        "🦀 5🦀",
        "\u{0}1",
        "١٢٣",
        "1:2:3",
        "--",
        "$",
        "€€",
        "1e5",
        "5-",
        "-",
        "%",
        "a\u{300}1",
        "９",
    ];
    for text in strange {
        let _ = speakable(text, "en");
        let _ = speakable(&text.repeat(100), "en");
    }
    assert!(can_be_heard("5") && !can_be_heard("… !"));
}
