//! Finding passages by their words.

use super::*;

/// The query, and the texts it must find, best first.
fn check_words(query: &str, expected: &[&str]) {
    let f = Fixture::new();
    let texts = [
        "Rent is payable on the first day of each calendar month.",
        "The tenant pays the rent, and the rent alone.",
        "Überweisungen dauern zwei Tage.",
        "租金应在每月第一天支付。",
        "家賃は毎月一日に支払う。",
        "The price of part AB-1234/x is 3.50.",
    ];
    let id = f.published("x", &texts);
    let found: Vec<_> = f.catalog.search_words(query, None, 10).unwrap();
    let keys: Vec<_> = found.iter().map(|(key, _)| *key).collect();
    let found_texts: Vec<_> = f
        .catalog
        .passages(&keys)
        .unwrap()
        .into_iter()
        .map(|p| p.text)
        .collect();
    assert_eq!(found_texts, expected, "{query:?}");
    assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
    assert!(
        found
            .iter()
            .all(|(key, score)| key.document == id && *score > 0.0)
    );
}

#[test]
fn words_find_passages() {
    let rent = [
        "The tenant pays the rent, and the rent alone.",
        "Rent is payable on the first day of each calendar month.",
    ];
    check_words("What about the rents?", &rent);
    check_words("überweisungen", &["Überweisungen dauern zwei Tage."]);
    check_words("租金什么时候支付", &["租金应在每月第一天支付。"]);
    check_words("家賃", &["家賃は毎月一日に支払う。"]);
    check_words("AB-1234/x", &["The price of part AB-1234/x is 3.50."]);
    check_words("zzz", &[]);
    check_words("the of and", &[]);
    check_words("", &[]);
}

#[test]
fn no_question_is_a_syntax_error() {
    let f = Fixture::new();
    f.published("x", &["rent"]);
    let nasty = [
        "\"",
        "'",
        "rent\"",
        "rent AND",
        "NOT rent",
        "NEAR(rent, 3)",
        "terms:rent",
        "{terms}: rent",
        "rent*",
        "^rent",
        "(((",
        "-rent",
        "rent\0x",
        "\u{0}",
        "%_",
        "; DROP TABLE chunks",
        "\u{202e}rent",
        "🦀",
        "rent + +",
    ];
    for query in nasty {
        f.catalog
            .search_words(query, None, 9)
            .unwrap_or_else(|e| panic!("{query:?}: {e}"));
    }
    let long = "rent ".repeat(100_000) + &(0..5000).map(|i| format!("w{i} ")).collect::<String>();
    assert_eq!(f.catalog.search_words(&long, None, 9).unwrap().len(), 1);
}

#[test]
fn words_keep_to_the_collection() {
    let f = Fixture::new();
    for name in ["x", "y"] {
        let id = f
            .catalog
            .record(&new_document(name, name))
            .unwrap()
            .document
            .id;
        f.catalog.publish(&publication(id, 1, &["rent"])).unwrap();
    }
    let of = |c: &str| {
        f.catalog
            .search_words("rent", Some(&c.parse().unwrap()), 9)
            .unwrap()
            .len()
    };
    assert_eq!((of("x"), of("y"), of("z")), (1, 1, 0));
    assert_eq!(f.catalog.search_words("rent", None, 9).unwrap().len(), 2);
}

/// Neighbouring numbers differ in their last digits only, so the keys of the words' index are whole
/// numbers, which its secure delete leaves behind.
#[test]
fn removed_words_do_not_stay_as_keys_of_the_index() {
    let f = Fixture::new();
    let publish = |name: &str, from: u32| {
        let mut texts = Vec::new();
        for chunk in 0..20_u32 {
            let numbers = (0..200).map(|i| (70_000_000 + 2 * (chunk * 200 + i) + from).to_string());
            texts.push(numbers.collect::<Vec<String>>().join(" "));
        }
        f.published(name, &texts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (gone, kept) = (publish("gone", 0), publish("kept", 1));
    f.catalog.remove(gone).unwrap();
    assert!(f.catalog.remove_traces().unwrap());
    let bytes = f.bytes();
    let numbers = bytes
        .windows(8)
        .filter_map(|w| std::str::from_utf8(w).ok()?.parse::<u32>().ok());
    let left: Vec<u32> = numbers
        .filter(|n| (70_000_000..70_008_000).contains(n) && n % 2 == 0)
        .collect();
    assert_eq!(left, [0_u32; 0]);
    let found = f.catalog.search_words("70000001", None, 9).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|(key, _)| key.document)
            .collect::<Vec<_>>(),
        [kept]
    );
}
