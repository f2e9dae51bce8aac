use serde_json::json;

use super::*;
use crate::catalog::schema::Schema;

fn parameters() -> Parameters {
    let raw = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["namespace", "size"],
        "properties": {
            "namespace": {"type": "string", "pattern": "^[a-z]+$", "description": "Where it lives."},
            "size": {"$ref": "#/$defs/size"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 4},
            "ratio": {"type": "number"},
            "fifo": {"type": "boolean", "default": false},
            "either": {"type": ["string", "integer"]},
            "zones": {"type": "array", "uniqueItems": true, "items": {"enum": ["a", "b"]}},
            "ports": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "rules": {"type": "array", "items": {
                "type": "object", "required": ["port"], "additionalProperties": false,
                "properties": {"port": {"type": "integer"}, "from": {"type": "string"}},
            }},
            "again": {"$ref": "#/$defs/again"},
        },
        "$defs": {
            "size": {"enum": ["small", "large"], "description": "How big."},
            "again": {"type": "object", "properties": {"again": {"$ref": "#/$defs/again"}}},
        },
    });
    Parameters::from_raw(Schema::compile(raw).unwrap())
}

fn field(name: &str) -> Field {
    parameters().form().into_iter().find(|field| field.name == name).unwrap()
}

#[test]
fn what_is_demanded_comes_first_and_each_is_asked_for_in_its_way() {
    let names: Vec<_> = parameters().form().into_iter().map(|field| field.name).collect();
    assert_eq!(names[..2], ["namespace", "size"]);
    assert_eq!(field("size").shape, Shape::Choice(vec![json!("small"), json!("large")]));
    assert_eq!(field("size").description.as_deref(), Some("How big."));
    assert_eq!(field("fifo").shape, Shape::Flag);
    assert_eq!(field("days").default, Some(json!(4)));
    assert_eq!(field("zones").shape, Shape::Choices(vec![json!("a"), json!("b")]));
    assert!(matches!(field("ports").shape, Shape::List { least: 1, .. }));
    assert!(matches!(field("tags").shape, Shape::Fields { others: Some(_), .. }));
    let Shape::List { item, .. } = field("rules").shape else { panic!() };
    let Shape::Fields { fields, others: None, .. } = *item else { panic!() };
    assert!(fields[0].required && fields[0].name == "port");
}

#[test]
fn a_schema_that_refers_to_itself_ends_as_free_text() {
    let mut shape = field("again").shape;
    for _ in 0..20 {
        shape = match shape {
            Shape::Fields { mut fields, .. } => fields.remove(0).shape,
            Shape::Free => return,
            other => panic!("{other:?}"),
        };
    }
    panic!("it does not end");
}

#[test]
fn answers_are_objected_to_at_their_place_only() {
    let parameters = parameters();
    let values = Map::from([("days".to_owned(), json!(40)), ("namespace".to_owned(), json!("A"))]);
    let about_days = parameters.objections(&values, "/days");
    assert_eq!(about_days.len(), 1, "{about_days:?}");
    assert!(about_days[0].contains("14"), "{about_days:?}");
    assert_eq!(parameters.objections(&values, "/namespace").len(), 1);
    assert!(parameters.objections(&values, "/size").is_empty());
}

#[track_caller]
fn set(all: &[&str]) -> Value {
    let parameters = parameters();
    let mut given = Assignments::new(&parameters);
    for one in all {
        given.set(one).unwrap();
    }
    json!(given.values)
}

#[test]
fn texts_become_what_the_schema_wants() {
    assert_eq!(set(&["namespace=42"]), json!({"namespace": "42"}));
    assert_eq!(set(&["namespace=no"]), json!({"namespace": "no"}));
    assert_eq!(set(&["days=4", "ratio=1.5"]), json!({"days": 4, "ratio": 1.5}));
    assert_eq!(set(&["days=four"]), json!({"days": "four"}));
    assert_eq!(set(&["fifo=true"]), json!({"fifo": true}));
    assert_eq!(set(&["either=7"]), json!({"either": 7}));
    assert_eq!(set(&["either=0777"]), json!({"either": "0777"}));
    assert_eq!(set(&["zones=a, b"]), json!({"zones": ["a", "b"]}));
    assert_eq!(set(&["ports=[80, 443]"]), json!({"ports": [80, 443]}));
    assert_eq!(set(&["ports=80,443"]), json!({"ports": [80, 443]}));
    assert_eq!(set(&["tags.owner=x", "tags.a\\.b=1"]), json!({"tags": {"owner": "x", "a.b": "1"}}));
    assert_eq!(
        set(&["rules.0.port=80", "rules.0.from=x", "rules.1.port=81"]),
        json!({"rules": [{"port": 80, "from": "x"}, {"port": 81}]})
    );
    assert_eq!(set(&["namespace="]), json!({"namespace": ""}));
}

#[test]
fn paths_that_cannot_be_are_refused_in_words() {
    let parameters = parameters();
    let mut given = Assignments::new(&parameters);
    given.set("tags.owner=x").unwrap();
    for wrong in ["tags=x", "tags.owner=y", "days", "=4", "a..b=1", "ports.3=1", "ports.x=1"] {
        assert!(given.set(wrong).is_err(), "{wrong}");
    }
    assert_eq!(json!(given.values), json!({"tags": {"owner": "x"}}));
    given.set_json("days=4").unwrap();
    let error = given.set_json("fifo=yes").unwrap_err();
    assert!(error.to_string().contains("is not JSON"), "{error}");
}
