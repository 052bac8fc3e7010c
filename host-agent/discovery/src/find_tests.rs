use super::*;

fn pod(name: &str, node: Option<&str>) -> PodPlace {
    PodPlace { namespace: "shop".to_owned(), name: name.to_owned(), node: node.map(str::to_owned) }
}

#[test]
fn pods_of_a_node_and_namespace_are_one_selector() {
    let question = Question { container: Some("app*".to_owned()), ..Question::default() };
    let mut notes = Vec::new();
    let pods = vec![pod("a", Some("one")), pod("b", Some("one")), pod("c", Some("two")), pod("d", None)];
    let selectors = on_nodes(&question, pods, &mut notes).expect("selectors");
    assert_eq!(selectors["one"], ["shop:{a,b}/app*"]);
    assert_eq!(selectors["two"], ["shop:c/app*"]);
    assert_eq!(notes, ["pod shop/d is on no node yet"]);
}

#[test]
fn nodes_that_have_none_of_them_say_where_they_are() {
    let question = Question { nodes: vec!["gpu-*".to_owned()], ..Question::default() };
    let pods = || vec![pod("a", Some("gpu-1")), pod("b", Some("cpu-1"))];
    let selectors = on_nodes(&question, pods(), &mut Vec::new()).expect("selectors");
    assert_eq!(selectors.keys().collect::<Vec<_>>(), ["gpu-1"]);
    let error = on_nodes(&question, vec![pod("b", Some("cpu-1"))], &mut Vec::new()).expect_err("elsewhere");
    assert!(error.to_string().contains("gpu-*: they run on cpu-1"), "{error}");
}

#[test]
fn globs_get_what_flags_say() {
    let question = Question::default();
    let glob = |text, namespace, container| complete(text, &question, namespace, container).expect(text);
    assert_eq!(glob("web-*", "shop", ""), "shop:web-*");
    assert_eq!(glob("web-*", "", "nginx"), ":web-*/nginx");
    assert_eq!(glob("ops:web-*", "shop", ""), "ops:web-*");
    assert_eq!(glob("/nginx", "shop", ""), "shop:/nginx");
    let named = Question { namespace: Some("shop".to_owned()), ..Question::default() };
    assert!(complete("ops:web-*", &named, "shop", "").is_err());
    assert!(complete("web-*/nginx", &question, "shop", "app").is_err());
}

#[test]
fn questions_that_say_two_things_are_refused() {
    let object = Wanted::Object { kind: Kind::Deployment, name: "web".to_owned() };
    let question = Question { wanted: vec![object.clone()], all_namespaces: true, ..Question::default() };
    assert!(question.check().is_err());
    let question =
        Question { wanted: vec![object], labels: Some("app=web".to_owned()), ..Question::default() };
    assert!(question.check().is_err());
}
