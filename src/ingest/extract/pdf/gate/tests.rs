use super::{super::super::bidi::logical_order, *};

#[track_caller]
fn check(text: &str, passes: bool) {
    let quality = Quality::of(text);
    assert_eq!(quality.passes(9), passes, "{text}\n{quality:?}");
}

/// The same sentences, and some more, in scripts and languages with different ideas of a word.
const GOOD: [&str; 23] = [
    "All human beings are born free and equal in dignity and rights.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt; Donaudampfschifffahrtsgesellschaft!",
    "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
    "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň úpěl.",
    "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi. Nghiệp nghiêng thường.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "יולדו כל בני האדם בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً.",
    "اميدنامه پذيرش کالای داخلی در بازار اصلی بورس کالا، بالا، اعلا",
    "तमाम इंसान आज़ाद और हुक़ूक़ व इज़्ज़त के ऐतबार से बराबर पैदा हुए हैं।",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.",
    "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "PN 4711-XK 12/2024 $1,234.00 RFC-2119 XML, 100 % of 3.5 GHz",
    "1 Introduction ........................ 7\n2 Methods ............................. 12\n3 Results ______ 19",
    "where x = y + z, so that f(x) = a x + b for all x in R (see eq. 3 and the proof of it)",
    "名前と年齢 Привет мир שלום עולם",
];

#[test]
fn good_pages_pass() {
    for text in GOOD {
        check(text, true);
    }
    assert!(Quality::of("").passes(0), "a blank page");
}

/// Letters moved by so many places in ASCII: glyph numbers that were taken for characters.
fn moved(text: &str, by: i32) -> String {
    let shift = |c: char| {
        let moved = u32::try_from(i32::try_from(u32::from(c)).unwrap() + by);
        moved.ok().and_then(char::from_u32).unwrap_or(' ')
    };
    text.split(' ')
        .map(|word| word.chars().map(shift).collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}

const PROSE: &str = "The notice period is three months to the end of a quarter and the landlord shall \
     return the deposit within sixty days after the keys were handed over by the tenant";

#[test]
fn wrong_maps_to_unicode_do_not() {
    // Most TrueType fonts number the glyphs of ASCII from 3, which is 29 less.
    for by in [-29, 2, 61] {
        check(&moved(PROSE, by), false);
    }
    // The bytes of another code page, and of none.
    check("ÐÑÒÓ ÕÖØÙ ÛÜÝ ßàáâ", false);
    check("\u{fffd}\u{fffd}he n\u{fffd}tice p\u{fffd}riod", false);
    check("\u{e012}\u{e013} \u{e014}\u{e015}\u{e016}", false);
    check("\u{3}\u{4}\u{5} \u{6}\u{7}", false);
    // Big-endian text read as little-endian.
    let swapped: String = PROSE
        .chars()
        .filter_map(|c| char::from_u32(u32::from(c).swap_bytes() >> 16))
        .collect();
    check(&swapped, false);
    // Latin letters replaced by look-alikes of other alphabets here and there.
    check("Thе nоtісе pеrіоd tо thе еnd оf quаrtеrs", false);
}

#[test]
fn lost_and_gained_spaces_do_not() {
    check(&PROSE.replace(' ', ""), false);
    let by_three: Vec<String> = PROSE
        .split(' ')
        .collect::<Vec<_>>()
        .chunks(3)
        .map(<[&str]>::concat)
        .collect();
    check(&by_three.join(" "), false);
    let spaced: Vec<String> = PROSE
        .chars()
        .filter(|c| *c != ' ')
        .map(String::from)
        .collect();
    check(&spaced.join(" "), false);
}

#[test]
fn right_to_left_text_in_the_order_it_is_seen_does_not() {
    let right_to_left = GOOD.into_iter().filter(|t| t.chars().any(is_rtl));
    let mut seen = 0;
    let telling = right_to_left.filter(|t| Quality::of(t).backwards < 0);
    for text in telling.filter(|t| !t.contains("мир")) {
        let backwards: String = text.chars().rev().collect();
        check(&backwards, false);
        // What turns it around makes it pass.
        check(&logical_order(&backwards), true);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn a_page_that_draws_text_and_gives_none_does_not() {
    assert!(!Quality::of("").passes(3));
}

#[test]
fn the_fuller_and_cleaner_text_is_worth_more() {
    let worth = |text: &str| Quality::of(text).worth();
    assert!(worth("some words here") > worth("some words"));
    assert!(worth("some words") > worth("s\u{fffd}me w\u{fffd}rds h\u{fffd}re"));
    assert!(worth(&moved(PROSE, -29)) < worth(PROSE));
    assert!(worth(&PROSE.chars().rev().collect::<String>()) <= worth(PROSE));
    let hebrew = GOOD[9];
    let backwards: String = hebrew.chars().rev().collect();
    assert!(worth(&backwards) < worth(hebrew));
}

proptest::proptest! {
    /// Whatever a page holds, it is measured, and no figure leaves its range.
    #[test]
    fn any_text_has_a_quality(text in "\\PC{0,200}|[\\x00-\\u{10ffff}]{0,60}") {
        let quality = Quality::of(&text);
        proptest::prop_assert!(quality.undecoded <= quality.chars * 2);
        proptest::prop_assert!((0.0..=1.0).contains(&quality.wordlike));
        proptest::prop_assert!(quality.worth() >= 0.0);
    }
}
